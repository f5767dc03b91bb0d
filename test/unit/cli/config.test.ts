/** Settings: which source wins, and what is said when one is wrong. */
import { mkdirSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { exitCodes } from "../../../cli/io/command.js";
import { readSettings } from "../../../cli/run/settings.js";
import { ConfigError } from "../../../server/config/config-error.js";
import { parseConfig } from "../../../server/config/config.js";
import { freshPath } from "../../helpers/command-line.js";

function problemsOf(...sources: Record<string, unknown>[]): readonly string[] {
  try {
    parseConfig(...sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems.map(({ key }) => key);
    throw error;
  }
  return [];
}

test("an address that is open to others is reported under its own name", () => {
  expect(problemsOf({ listen: "0.0.0.0:80" })).toEqual(["listen"]);
  expect(problemsOf({ probes: "0.0.0.0:80" })).toEqual([]);
  expect(problemsOf({ listen: ["127.0.0.1:0", "0.0.0.0:80"] })).toEqual(["listen"]);
});

test("with TLS for other machines a policy is needed, within this one it is not", () => {
  const tls = { tlsCertificate: "tls.crt", tlsKey: "tls.key" };
  for (const open of [{ listen: "0.0.0.0:1" }, { listen: "node-1.example:1" }]) {
    expect(problemsOf({ ...tls, ...open })).toEqual(["policy"]);
    expect(problemsOf({ ...tls, ...open, policy: "policy.json" })).toEqual([]);
  }
  expect(problemsOf({ ...tls, listen: "unix:/run/a.sock,127.0.0.1:1" })).toEqual([]);
});

test("addresses of version 6 are addresses too, and devices that share a core are not", () => {
  expect(problemsOf({ listen: "[::1]:0", probes: "[::1]:0", admin: "[::1]:0" })).toEqual([]);
  const devices = [
    { id: "a", cores: "0-1" },
    { id: "b", cores: "1" },
  ];
  expect(problemsOf({ devices, admin: "0.0.0.0:1", fenceMs: 0 }).toSorted()).toEqual([
    "admin",
    "devices",
    "fenceMs",
  ]);
});

test("every problem is reported at once, each under its key", () => {
  const wrong = { listen: "here", probes: "nowhere", fenceMs: "soon", lisen: 1, spam: 2 };
  expect(problemsOf(wrong).toSorted()).toEqual(["fenceMs", "lisen", "listen", "probes", "spam"]);
});

test("a default that is given asks for no other setting: what is printed can be read again", () => {
  const given = { engineCell: "main", otlpRatio: 1, recordMb: 256, recordContent: "full" };
  expect(problemsOf(given)).toEqual([]);
});

test("an upgrade is an object, in a flag as its text, and each wrong part is named", () => {
  const upgrade = { revision: "r2", slot: 12 };
  const whole = { ...upgrade, shadow: 0.01 };
  expect(parseConfig({ upgrade }).upgrade).toEqual(whole);
  expect(parseConfig({ upgrade: JSON.stringify(upgrade) }).upgrade).toEqual(whole);
  const textOf = (of: Record<string, unknown>) => {
    try {
      parseConfig(of);
    } catch (error) {
      if (error instanceof ConfigError) return error.message;
    }
    return "";
  };
  const wrong = { revision: "r 2", slot: 1.5, shadow: 2, spam: 1 };
  expect(textOf({ upgrade: wrong }).split("\n")).toEqual([
    'upgrade.revision is "r 2": expected a revision, such as "py-lean-pq-0.8.0"',
    `upgrade.slot is 1.5: expected a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`,
    "upgrade.shadow is 2: expected a share from 0 to 1",
    "upgrade.spam is 1: there is no such setting",
  ]);
  for (const bad of ["r2", { slot: 1 }, 7, null]) {
    expect(textOf({ upgrade: bad })).toMatch(/^upgrade is .*: expected an object with revision/);
  }
  expect(textOf({ upgrade: '{"slot": 1' })).toMatch(/^upgrade is .*: the object /);
  expect(textOf({ proofSystem: "xmss r2", upgrade })).toMatch(/^upgrade is .* name the next one$/);
  expect(textOf({ proofSystem: "xmss r1", upgrade })).toBe("");
});

test("a setting named __proto__ is an unknown setting like any other", () => {
  const file: Record<string, unknown> = JSON.parse('{"__proto__": {"fenceMs": 1}}');
  expect(problemsOf(file)).toEqual(["__proto__"]);
});

function fileOf(text: string): string {
  const path = freshPath("settings.json");
  writeFileSync(path, text);
  return path;
}

const refused = (message: unknown) =>
  expect.objectContaining({ exitCode: exitCodes.usage, message });

test("a flag wins over its variable, that over the file, that over the default", () => {
  const file = fileOf('{"deadlineMs": 1, "fenceMs": 1000, "drainMs": 1}');
  const env = { LEAN_AGGREGATOR_DEADLINE_MS: "2", LEAN_AGGREGATOR_FENCE_MS: "2000" };
  const config = readSettings({ flags: { deadlineMs: "3" }, env, file });
  expect(config).toMatchObject({ deadlineMs: 3, fenceMs: 2000, drainMs: 1, logLevel: "info" });
});

test("every wrong setting is named as the user gave it: flag, variable or file", () => {
  const file = fileOf('{"lisen": 1, "drainMs": "never"}');
  const env = { LEAN_AGGREGATOR_FENCE_MS: "soon" };
  expect(() => readSettings({ flags: { deadlineMs: "x" }, env, file })).toThrow(
    refused(
      expect.stringMatching(
        new RegExp(
          [
            "invalid settings: 4 errors; .*",
            '  --deadline-ms is "x": .*',
            '  LEAN_AGGREGATOR_FENCE_MS is "soon": .*',
            `  ${file}: drainMs is "never": .*`,
            `  ${file}: lisen is 1: there is no such setting`,
          ].join("\n"),
        ),
      ),
    ),
  );
});

test("a file that is not JSON is reported with its line and column", () => {
  const file = fileOf('{\n  "listen": 1,\n}');
  expect(() => readSettings({ flags: {}, env: {}, file })).toThrow(
    refused(expect.stringContaining(`${file} is not JSON at line 3 column 1: `)),
  );
});

test("a file that is missing, a folder, or no object is reported by its name", () => {
  const folder = freshPath("folder");
  mkdirSync(folder);
  for (const file of [freshPath("missing.json"), folder, fileOf("[]"), fileOf("null")]) {
    expect(() => readSettings({ flags: {}, env: {}, file })).toThrow(
      refused(expect.stringContaining(file)),
    );
  }
});
