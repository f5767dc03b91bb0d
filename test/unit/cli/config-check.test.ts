/** `config check` reads flags, variables and the file as `serve` and `prove` do, and starts nothing. */
import { existsSync, writeFileSync } from "node:fs";
import { afterEach, expect, test, vi } from "vitest";
import { settingKeys } from "../../../server/config/config.js";
import { commandInProcess, freshPath } from "../../helpers/command-line.js";

afterEach(() => vi.unstubAllEnvs());

function fileWith(settings: object): string {
  const path = freshPath("settings.json");
  writeFileSync(path, JSON.stringify(settings));
  return path;
}

/** Of the row of a setting: its name, its value, and what gave it. */
function rowOf(table: string, key: string): string[] {
  const line = table.split("\n").find((each) => each.startsWith(`${key} `)) ?? "";
  const [name = "", from = "", ...value] = line.split(/\s{2,}/);
  return [name, ...value, from];
}

test("each setting has its value, and the flag, variable or file that gave it", async () => {
  vi.stubEnv("LEAN_AGGREGATOR_FENCE_MS", "7000");
  vi.stubEnv("RUNTIME_DIRECTORY", "/run/of-systemd");
  vi.stubEnv("STATE_DIRECTORY", "/var/lib/of-systemd");
  const file = fileWith({ deadlineMs: 500, fenceMs: 6000, devices: [{ id: "a", cores: "0" }] });
  const args = ["config", "check", "--config", file, "--drain-ms", "900"];
  const { code, stdout, stderr } = await commandInProcess(args);
  expect([code, stderr]).toEqual([0, ""]);
  expect(rowOf(stdout, "deadlineMs")).toEqual(["deadlineMs", "500", file]);
  expect(rowOf(stdout, "fenceMs")).toEqual(["fenceMs", "7000", "LEAN_AGGREGATOR_FENCE_MS"]);
  expect(rowOf(stdout, "drainMs")).toEqual(["drainMs", "900", "--drain-ms"]);
  expect(rowOf(stdout, "logLevel")).toEqual(["logLevel", "info", "default"]);
  expect(rowOf(stdout, "devices")).toEqual(["devices", '[{"id":"a","cores":"0"}]', file]);
  expect(rowOf(stdout, "policy")).toEqual(["policy", "none", "default"]);
  expect(rowOf(stdout, "runtimeDir")).toEqual(["runtimeDir", "/run/of-systemd", "default"]);
  expect(rowOf(stdout, "stateDir")).toEqual(["stateDir", "/var/lib/of-systemd", "default"]);
  for (const key of settingKeys) expect(rowOf(stdout, key), key).toHaveLength(3);
  expect(stdout).toMatch(/\nthe settings are valid\n$/);
});

test("a password in a URL within a device is not shown", async () => {
  const backend = { library: "/p.so", config: "http://me:a/secret@h" };
  const file = fileWith({ devices: [{ id: "a", backend }] });
  const { stdout } = await commandInProcess(["config", "check", "--config", file]);
  expect(rowOf(stdout, "devices")[1]).toContain('"config":"http://…@h"}');
});

test("each wrong value is named where it was given, and the exit code is 2", async () => {
  vi.stubEnv("LEAN_AGGREGATOR_FENCE_MS", "soon");
  const file = fileWith({ drainMs: 0, polcy: "p.json" });
  const { code, stdout, stderr } = await commandInProcess([
    ...["config", "check", "--config", file, "--deadline-ms", "fast"],
  ]);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toContain('--deadline-ms is "fast": expected whole milliseconds from 1 to 120000');
  expect(stderr).toContain('LEAN_AGGREGATOR_FENCE_MS is "soon": expected whole milliseconds');
  expect(stderr).toContain(`${file}: drainMs is 0: expected whole milliseconds`);
  expect(stderr).toContain(`${file}: polcy is "p.json": there is no such setting`);
  expect(stderr).toContain("invalid settings: 4 errors");
});

test("a policy or certificate that the settings name is read too", async () => {
  const policy = fileWith({ principals: [{ name: "a b" }] });
  const wrong = await commandInProcess(["config", "check", "--policy", policy]);
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain(`invalid policy ${policy}`);
  const certificate = fileWith({});
  const tls = ["--tls-certificate", certificate, "--tls-key", certificate];
  const { code, stderr } = await commandInProcess(["config", "check", ...tls]);
  expect(code).toBe(2);
  expect(stderr).toContain("invalid certificates: ");
});

const engine = ["--engine", "nats://127.0.0.1:4222", "--host-id", "host-0"];

test.each<[string, string[], string]>([
  ["an audit file whose folder is missing", ["--audit", "/no/such/audit.jsonl"], "does not exist"],
  ["a folder as audit file", ["--audit", "/"], "it is a folder"],
  ["an audit file below a file", ["--audit", "/etc/passwd/audit.jsonl"], "a part of the path"],
  ["a file to record in", ["--record", "/etc/passwd"], "it is a file, not a folder"],
  ["an audit file of a lane host", ["prove", ...engine, "--audit", "/"], "it is a folder"],
  ["a file to keep calls in", ["--keep-fatal", "/etc/passwd"], "it is a file, not a folder"],
])("%s is refused, as 'serve' or 'prove' would", async (_what, args, why) => {
  const { code, stdout, stderr } = await commandInProcess(["config", "check", ...args]);
  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toContain(`cannot write ${args.at(-2)} ${args.at(-1)}: `);
  expect(stderr).toContain(why);
});

test.each<[string, string[], string]>([
  ["a socket of a lane host", ["--probes", "unix:/no/such/p.sock"], "/no/such does not exist"],
  [
    "a device's cache folder",
    ["--devices", '[{"id":"a","fileMb":1,"cacheFolder":"/etc/passwd"}]'],
    '--devices[0].cacheFolder is "/etc/passwd": it is not a folder',
  ],
])("%s is refused as a setting that is wrong", async (_what, args, why) => {
  const { code, stderr } = await commandInProcess(["config", "check", "prove", ...engine, ...args]);
  expect(code).toBe(2);
  expect(stderr).toContain(why);
});

test("places that can be written pass, and nothing is made there", async () => {
  const [audit, record] = [freshPath("audit.jsonl"), freshPath("recording")];
  const flags = ["--audit", audit, "--record", record];
  const { code, stderr } = await commandInProcess(["config", "check", ...flags]);
  expect([code, stderr]).toEqual([0, ""]);
  expect([existsSync(audit), existsSync(record)]).toEqual([false, false]);
});

test("of a lane host, with the flags of prove", async () => {
  const missing = await commandInProcess(["config", "check", "prove"]);
  expect(missing.code).toBe(2);
  expect(missing.stderr).toContain("--engine is not given");
  const { code, stdout } = await commandInProcess(["config", "check", "prove", ...engine]);
  expect(code).toBe(0);
  expect(rowOf(stdout, "hostId")).toEqual(["hostId", "host-0", "--host-id"]);
  const served = await commandInProcess(["config", "check", "serve", "--host-id", "host-0"]);
  expect(served.stderr).toContain("unknown option '--host-id'");
});
