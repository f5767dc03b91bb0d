/** What the service says of its own files when they are missing or invalid: the exact text. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { checkPolicy } from "../../../cli/doctor/file-checks.js";
import { valueIn } from "../../../server/files/json-file.js";
import { readBackendFile, readCalibration } from "../../../server/prover/device/backend-file.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";

const folder = temporaryFolder();
const path = join(folder, "build", "lean_pq.json");
mkdirSync(join(folder, "build"));

function said(run: () => unknown): string {
  try {
    run();
    return "";
  } catch (error) {
    return error instanceof Error ? error.message.replaceAll(path, "FILE") : String(error);
  }
}

const calibration = { publicKey: "00", root: "00", slot: 1, signature: "00" };

test.each<[text: string, wrong: string]>([
  ["", "FILE is not JSON at line 1 column 1: JSON value expected but reached end of input"],
  ["[]", "FILE is invalid: expected an object"],
  [
    JSON.stringify({ ...calibration, slot: -1 }),
    "FILE is invalid at slot: expected a whole number from 0 to 4294967295",
  ],
  [
    JSON.stringify({ ...calibration, root: "zz" }),
    "FILE is invalid at root: expected hexadecimal digits",
  ],
  [
    JSON.stringify({ ...calibration, signature: 5 }),
    "FILE is invalid at signature: expected hexadecimal digits",
  ],
  [JSON.stringify({ ...calibration, next: 5 }), "FILE is invalid at next: there is no such key"],
  [
    JSON.stringify({ ...calibration, more: [{ publicKey: "00", signature: "z" }] }),
    "FILE is invalid at more[0].signature: expected hexadecimal digits",
  ],
  ['{"slot": 1, "slot": 2}', "FILE slot: is there twice, again at line 1 column 13"],
  [" ".repeat(24 * 1024 * 1024 + 1), "cannot read FILE: it has more than 25165824 bytes"],
])("a calibration %#", (text, wrong) => {
  writeFileSync(path, text);
  expect(said(() => readCalibration(path))).toBe(wrong);
});

test("a calibration with a byte order mark is taken", () => {
  writeFileSync(path, `\uFEFF${JSON.stringify({ ...calibration, root: "00".repeat(32) })}`);
  expect(said(() => readCalibration(path))).toBe("");
});

test.each(["/dev/zero", folder])("a calibration that is no file, %#, ends at once", (at) => {
  expect(said(() => readCalibration(at))).toMatch(/: it is (a folder|not a regular file)$/);
});

test.each<[text: string | undefined, wrong: string]>([
  ["{", "FILE is not JSON at line 1 column 2: "],
  ["{}", "FILE is invalid at library: expected a path in one line"],
  ['{"library": "a\\nb"}', "FILE is invalid at library: expected a path in one line"],
])("a backend file %s", (text = "", wrong) => {
  writeFileSync(path, text);
  const message = said(() => readBackendFile(folder));
  expect(message).toMatch(/^the prover backend is not set up \(.*\); run 'lean-aggregator setup'$/);
  expect(message).toContain(wrong);
});

test("a file that is not there", () => {
  expect(said(() => readBackendFile(join(folder, "none"), "lean_multisig"))).toMatch(
    /lean_multisig.json: .* does not exist\); run 'lean-aggregator setup --with lean_multisig'$/,
  );
  const missing = join(folder, "none", "build", "lean_pq.json");
  expect(said(() => readBackendFile(join(folder, "none")))).toBe(
    `the prover backend is not set up (cannot read ${missing}: ` +
      `the folder ${join(folder, "none", "build")} does not exist); run 'lean-aggregator setup'`,
  );
  expect(said(() => readCalibration(join(folder, "build", "c.json")))).toBe(
    `cannot read ${join(folder, "build", "c.json")}: it does not exist`,
  );
});

test("a value deep inside is named by its path", () => {
  const schema = z.strictObject({ rows: z.array(z.array(z.number().max(1))) });
  expect(said(() => valueIn('{"rows": [[0], [0, 2]]}', schema))).toBe(
    "is invalid at rows[1][1]: expected at most 1",
  );
});

test("a policy that names a socket on which the service does not listen is warned of", () => {
  const policy = join(folder, "policy.json");
  const principal = (name: string, sockets: string[]) => ({ name, sockets });
  const principals = [
    principal("a", ["/run/a.sock", "/run/admin.sock"]),
    principal("b", ["/run/b"]),
  ];
  writeFileSync(policy, JSON.stringify({ principals }));
  const check = (listen: string[]) =>
    checkPolicy(policy, { listen, admin: "unix:/run/admin.sock" });
  expect(check(["unix:/run/a.sock", "unix:/run/b"])).toEqual({
    level: "ok",
    text: `${policy} is valid: 2 principals`,
  });
  expect(check(["unix:/run/a.sock"])).toEqual({
    level: "warn",
    text: `${policy} is valid: 2 principals; it names /run/b, where 'serve' does not listen: add to --listen`,
  });
});
