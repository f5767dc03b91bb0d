/** Output that cannot be written: a sentence and a code that is not 0, never an empty result. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { chmodSync } from "node:fs";
import { dirname, join } from "node:path";
import { fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { freshPath, MAIN } from "../../helpers/command-line.js";
import { jsonFile, submitSnapshotJson } from "../../helpers/interop-json.js";
import { startTestService } from "../../helpers/start-service.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";
import { run } from "../../interop/interop-tools.js";

const snapshotFile = jsonFile(submitSnapshotJson("cli-output"));
const policyFile = join(process.cwd(), "deploy/policy.json");
const NO_LISTENERS = ["--listen", "127.0.0.1:0", "--probes", "off", "--admin", "off"];
const doctor = ["doctor", "--prover", "fake", ...NO_LISTENERS];

let service: Service;
let env: Record<string, string>;
beforeAll(async () => {
  service = await startTestService(() =>
    startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
  );
  env = { LEAN_AGGREGATOR_SERVER: service.addresses[0] ?? "" };
});
afterAll(() => service.close());

/** Runs the command line in bash; `$0` and `$@` stand for it with its arguments. */
const inShell = (script: string, args: readonly string[]) =>
  run("bash", ["-c", script, process.execPath, MAIN, ...args], { env });

const commands: (() => string[])[] = [
  () => ["--version"],
  () => ["--help"],
  () => ["serve", "--help"],
  () => ["token"],
  () => ["completion", "bash"],
  () => ["policy", "check", policyFile],
  () => doctor,
  () => ["health"],
  () => ["info"],
  () => ["info", "--json"],
  () => ["submit", snapshotFile],
  () => ["submit", snapshotFile, "--json"],
  () => ["watch", "--node", "cli-output"],
  () => ["watch", "--node", "cli-output", "--json"],
  () => ["admin", "provers", "--server", service.operatorAddress ?? ""],
];
const named = commands.map((args, at) => [at, args] as const);

test.runIf(existsSync("/dev/full")).each(named)(
  "on a full disk command %d says so and does not end with 0",
  async (_at, args) => {
    const { code, stderr } = await inShell('exec "$0" "$@" >/dev/full', args());
    expect(stderr).toBe(
      "lean-aggregator: cannot write to standard output: the disk is full; " +
        "the output is lost or cut off: write it to another place\n",
    );
    expect(code).toBe(1);
  },
);

test.each(named)("command %d whose reader has gone ends quietly with 0", async (_at, args) => {
  const { code, stderr } = await inShell('"$0" "$@" | true; exit "${PIPESTATUS[0]}"', args());
  expect([code, stderr]).toEqual([0, ""]);
});

const denied = ["--principal", "node-1", "--call", "VerifyAggregate"];
const submission = SubmitSnapshotRequestSchema;
const unproved = () => {
  const request = fromJsonString(submission, readFileSync(snapshotFile, "utf8"));
  for (const group of request.snapshot?.groups ?? [])
    for (const each of group.rawSignatures) each.signature = each.signature.fill(1);
  return jsonFile(toJsonString(submission, request));
};

test.each<[string, () => string[], number]>([
  ["submit", () => ["submit", unproved()], 3],
  ["submit --json", () => ["submit", unproved(), "--json"], 3],
  ["doctor", () => [...doctor, "--record", "/dev/null"], 1],
  ["policy check", () => ["policy", "check", policyFile, ...denied], 3],
])("%s whose reader has gone ends with the code of its verdict", async (_name, args, expected) => {
  const { code } = await inShell('"$0" "$@" | true; exit "${PIPESTATUS[0]}"', args());
  expect(code).toBe(expected);
});

test("output that fits in part only is an error too", async () => {
  const file = freshPath("out");
  const script = 'trap "" XFSZ; ulimit -f 1; exec "$0" "$@" >"$OUT"';
  const options = { env: { ...env, OUT: file } };
  const args = ["-c", script, process.execPath, MAIN, "serve", "--help"];
  const { code, stderr } = await run("bash", args, options);
  expect(statSync(file).size).toBe(1024);
  expect(stderr).toContain("cannot write to standard output");
  expect(code).toBe(1);
});

test("a slow reader of a pipe that does not wait gets everything", async () => {
  const slow = "sleep 0.3; sleep 0.3; cat";
  const { stdout } = await inShell(`"$0" "$@" | (${slow})`, ["serve", "--help"]);
  const { stdout: all } = await inShell('"$0" "$@"', ["serve", "--help"]);
  expect(stdout).toBe(all);
});

test("token --out on a full disk leaves no file", async () => {
  const file = freshPath("token");
  const { code, stderr } = await inShell('trap "" XFSZ; ulimit -f 0; exec "$0" "$@"', [
    "token",
    "--out",
    file,
  ]);
  expect(stderr).toMatch(/^lean-aggregator: cannot write the token to --out .*\(ulimit -f\)/);
  expect([code, readdirSync(dirname(file))]).toEqual([2, []]);
});

test("token --out whose entry nobody reads leaves no file, and does not end with 0", async () => {
  const file = freshPath("token");
  // It starts once the reader has gone.
  const readerGone = 'trap "" PIPE; while printf x; do :; done 2>/dev/null';
  const script = `{ ${readerGone}; exec "$0" "$@"; } | true; exit "\${PIPESTATUS[0]}"`;
  const { code, stderr } = await inShell(script, ["token", "--out", file]);
  expect(stderr).toBe(
    `lean-aggregator: nobody read the entry for the policy file, so --out ${file} is removed; ` +
      "keep the output, and run it again\n",
  );
  expect([code, readdirSync(dirname(file))]).toEqual([1, []]);
});

describe("submit --out", () => {
  const submit = (out: string) => inShell('exec "$0" "$@"', ["submit", snapshotFile, "--out", out]);

  test("replaces a file behind a link, and keeps link and mode", async () => {
    const folder = temporaryFolder();
    const [file, link] = [join(folder, "file"), join(folder, "link")];
    writeFileSync(file, "old");
    chmodSync(file, 0o640);
    symlinkSync(file, link);
    expect(await submit(link)).toMatchObject({ code: 0, stderr: "" });
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o640);
    expect(readFileSync(file, "utf8").trimEnd().split("\n")).toHaveLength(3);
    expect(readdirSync(folder)).toHaveLength(2);
  });

  test("keeps the old content when the new does not fit", async () => {
    const out = freshPath("out");
    writeFileSync(out, "old");
    const script = 'trap "" XFSZ; ulimit -f 0; exec "$0" "$@"';
    const { code, stderr } = await inShell(script, ["submit", snapshotFile, "--out", out]);
    expect(stderr).toContain(`cannot write --out ${out}: `);
    expect([code, readFileSync(out, "utf8")]).toEqual([1, "old"]);
  });

  test("keeps the old content when the service refuses the request", async () => {
    const out = freshPath("out");
    writeFileSync(out, "old");
    const bad = freshPath("bad.json");
    writeFileSync(bad, JSON.stringify({ snapshot: { groups: [] } }));
    const { code } = await run(process.execPath, [MAIN, "submit", bad, "--out", out], { env });
    expect([code, readFileSync(out, "utf8")]).toEqual([1, "old"]);
  });

  test.runIf(existsSync("/dev/full"))("says of a device that takes nothing", async () => {
    const { code, stderr } = await submit("/dev/full");
    expect(stderr).toBe(
      "lean-aggregator: cannot write --out /dev/full: the disk is full; " +
        "name another file, and submit again\n",
    );
    expect(code).toBe(1);
  });

  test("writes to a device, and refuses a folder before it submits", async () => {
    expect(await submit("/dev/null")).toMatchObject({ code: 0 });
    const folder = freshPath("folder");
    mkdirSync(folder);
    const { code, stdout, stderr } = await submit(folder);
    expect(stderr).toBe(
      `lean-aggregator: cannot write --out ${folder}: it is a folder; name another file\n`,
    );
    expect([code, stdout]).toEqual([2, ""]);
  });
});
