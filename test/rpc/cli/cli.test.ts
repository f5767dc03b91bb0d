/** The compiled command line as its users run it, against a service in this process. */
import { readFileSync, writeFileSync } from "node:fs";
import { fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  OutcomeStatus,
  StreamResultsResponseSchema,
  SubmitSnapshotRequestSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import { limits } from "../../../server/limits.js";
import type { Service } from "../../../server/service.js";
import { commandLine, freshPath, MAIN, runUntil } from "../../helpers/command-line.js";
import { jsonFile, submitSnapshotJson } from "../../helpers/interop-json.js";
import { startTestService } from "../../helpers/start-service.js";

const NODE = "cli-test";
const snapshotFile = jsonFile(submitSnapshotJson(NODE));
const request = () =>
  fromJsonString(SubmitSnapshotRequestSchema, readFileSync(snapshotFile, "utf8"));

let service: Service;
let env: Record<string, string>;
beforeAll(async () => {
  service = await startTestService(() =>
    startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
  );
  env = { LEAN_AGGREGATOR_SERVER: service.addresses[0] ?? "" };
});
afterAll(() => service.close());

const cli = (...args: string[]) => commandLine(args, { env });

/** A request with something changed, as a file. */
function changed(change: (of: ReturnType<typeof request>) => void): string {
  const copy = request();
  change(copy);
  return jsonFile(toJsonString(SubmitSnapshotRequestSchema, copy));
}

describe("submit", () => {
  test("prints a table and ends with 0 when every vote is proved", async () => {
    const { code, stdout } = await cli("submit", snapshotFile);
    expect(stdout).toMatch(/^accepted: request \S+, /);
    expect(stdout).toMatch(/\n +0 +100 +proved FAKE +- +2 /);
    expect(stdout).toMatch(
      /\nslot 100: (\d+) of \1 votes proved, 1 of 1 groups proved, in \d+ ms\n$/,
    );
    expect(code).toBe(0);
  });

  test("--json prints a message a line, and --out writes the same to a file", async () => {
    const out = freshPath("outcomes.jsonl");
    const { code, stdout } = await cli("submit", snapshotFile, "--json", "--out", out);
    expect(code).toBe(0);
    const [accepted, outcome, summary, ...more] = stdout.trimEnd().split("\n");
    expect(JSON.parse(accepted ?? "")).toHaveProperty("accepted.requestId");
    const { event } = fromJsonString(StreamResultsResponseSchema, outcome ?? "");
    expect(event).toMatchObject({ case: "outcome", value: { status: OutcomeStatus.PROVED } });
    expect(JSON.parse(summary ?? "")).toHaveProperty("summary.proved", 1);
    expect(more).toEqual([]);
    expect(readFileSync(out, "utf8")).toBe(stdout);
  });

  test("reads standard input, and a binary file", async () => {
    const options = { env, stdinFile: snapshotFile };
    expect(await commandLine(["submit", "-"], options)).toMatchObject({ code: 0 });
    const bin = freshPath("snapshot.bin");
    writeFileSync(bin, toBinary(SubmitSnapshotRequestSchema, request()));
    expect(await cli("submit", bin)).toMatchObject({ code: 0 });
  });

  test("a snapshot that names no node is submitted as the node that watch shows", async () => {
    const file = changed((of) => delete of.node);
    expect(await cli("submit", file)).toMatchObject({ code: 0 });
  });

  test("ends with 3 when a group is not proved, and says why", async () => {
    const file = changed(({ snapshot }) => {
      for (const raw of snapshot?.groups[0]?.rawSignatures ?? []) raw.signature.fill(7);
    });
    const { code, stdout } = await cli("submit", file);
    expect(stdout).toMatch(/ rejected FAKE .*validator 0 wrong_leaf, validator 1 wrong_leaf/);
    expect(stdout).toMatch(/: 0 of (\d+) votes proved \(\1 wrong_leaf\), 0 of 1 groups proved/);
    expect(code).toBe(3);
  });

  test.each([
    [
      "is missing",
      "/nowhere/s.json",
      /cannot read \/nowhere\/s.json: the folder \/nowhere does not exist; check/,
    ],
    ["is not JSON", jsonFile('{\n"node": {,}}'), /request.json is not JSON at line 2 column 10: /],
    [
      "has an unknown field",
      jsonFile('{"nod": 1}'),
      /request.json: nod: no such field; did you mean "node"; fix/,
    ],
    [
      "has a wrong value",
      jsonFile('{"node": {"nodeId": 1}}'),
      /request.json: node.nodeId: is 1, expected text; fix/,
    ],
  ])("ends with 2 and says where when the file %s", async (_fault, file, message) => {
    const { code, stderr, stdout } = await cli("submit", file);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^lean-aggregator: /);
    expect([code, stdout]).toEqual([2, ""]);
  });

  test("ends with 2 before it submits when --out cannot be written", async () => {
    const { code, stdout, stderr } = await cli("submit", snapshotFile, "--out", "/nowhere/o");
    expect(stderr).toContain(
      "cannot write --out /nowhere/o: the folder /nowhere does not exist; name another file",
    );
    expect([code, stdout]).toEqual([2, ""]);
  });

  test("ends with 1 and the field's name when the service refuses the request", async () => {
    const file = changed((of) => (of.requestId = "x".repeat(65)));
    const { code, stderr } = await cli("submit", file);
    expect(stderr).toMatch(/the service refused the request: request_id: /);
    expect(code).toBe(1);
  });
});

test.each([
  ["info"],
  ["health"],
  ["watch"],
  ["submit", snapshotFile],
  ["verify", jsonFile('{"publicKeys":[]}')],
])("%s ends with 1, the address and what to do when nobody answers", async (...args) => {
  const { code, stderr } = await cli(...args, "--server", "127.0.0.1:1");
  expect(stderr).toMatch(
    /cannot reach the service at 127.0.0.1:1: nothing listens there; start it with 'lean-aggregator serve'/,
  );
  expect(code).toBe(1);
});

describe("verify", () => {
  const outcomes = freshPath("outcomes.jsonl");
  beforeAll(async () => {
    await cli("submit", snapshotFile, "--out", outcomes);
  });

  test("of what submit wrote, with the snapshot's keys, ends with 0", async () => {
    const { code, stdout } = await cli("verify", outcomes, "--keys", snapshotFile);
    expect(stdout).toMatch(/\nvalid +100 +2 +\d+ +0x[0-9a-f]{64} /);
    expect(stdout).toContain("1 of 1 proofs valid");
    expect(stdout).toContain("FAKE");
    expect(code).toBe(0);
  });

  test("ends with 3 when the proof covers other keys than those given", async () => {
    const keys = changed(({ snapshot }) => {
      const [first, , third] = snapshot?.keys ?? [];
      if (first === undefined || third === undefined) throw new Error("no keys");
      [first.publicKey, third.publicKey] = [third.publicKey, first.publicKey];
    });
    const { code, stdout } = await cli("verify", outcomes, "--keys", keys);
    expect(stdout).toMatch(/\nINVALID .*attests other claims/);
    expect(code).toBe(3);
  });

  test("takes a request that has its own keys", async () => {
    const { snapshot } = request();
    const event = readFileSync(outcomes, "utf8").split("\n")[1] ?? "";
    const { outcome } = JSON.parse(event) as { outcome: Record<string, unknown> };
    const publicKeys = snapshot?.keys
      .slice(0, 2)
      .map(({ publicKey }) => Buffer.from(publicKey).toString("base64"));
    const body = { data: outcome["data"], proof: outcome["proof"], publicKeys };
    const file = jsonFile(JSON.stringify(body));
    expect(await cli("verify", file)).toMatchObject({ code: 0 });
    expect(await cli("verify", file, "--keys", snapshotFile)).toMatchObject({ code: 2 });
  });

  test("ends with 2 without keys, and when the file has no proof", async () => {
    expect(await cli("verify", outcomes)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--keys"),
    });
    const none = jsonFile('{"outcome": {"status": "OUTCOME_STATUS_STOPPED"}}');
    expect(await cli("verify", none, "--keys", snapshotFile)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("has 1 outcomes and no proof"),
    });
  });
});

describe("watch", () => {
  const watch = (...args: string[]) =>
    runUntil(process.execPath, [MAIN, "watch", "--node", NODE, ...args], {
      env,
      signal: "SIGINT",
      when: /groups proved|"summary"/,
    });
  beforeAll(async () => {
    await cli("submit", snapshotFile);
  });

  test("prints what is retained under a header, and ends with 0 at SIGINT", async () => {
    const { code, stdout, stderr } = await watch();
    expect(stdout).toMatch(/^group +slot +status /);
    expect(stdout).toMatch(/ proved FAKE /);
    expect([code, stderr]).toEqual([0, ""]);
  });

  test("--json prints a response a line", async () => {
    const { code, stdout } = await watch("--json");
    const cases = stdout
      .trimEnd()
      .split("\n")
      .map((line) => fromJsonString(StreamResultsResponseSchema, line));
    const kinds = cases.map(({ event }) => event.case);
    expect(kinds.slice(0, 3)).toEqual(["opened", "outcome", "summary"]);
    expect(code).toBe(0);
  });
});

test("info is a table, or the raw message", async () => {
  const text = await cli("info");
  expect(text.stdout).toMatch(/^version +test\n/);
  expect(text.stdout).toMatch(/\ncpu +idle +fake fake-1 +its prover +-\n/);
  const snapshot = `at most ${limits.groupsMax} groups, ${limits.snapshotBytesMax / 1024} KiB`;
  expect(text.stdout).toMatch(new RegExp(`^snapshot +${snapshot}$`, "m"));
  expect(text.code).toBe(0);
  const { stdout } = await cli("info", "--json");
  expect(JSON.parse(stdout)).toMatchObject({ serverVersion: "test", limits: {} });
});

test("health is one word, and ends with 0 while the service serves", async () => {
  expect(await cli("health")).toMatchObject({ stdout: "SERVING\n", code: 0 });
});

test("doctor says of a running service's addresses that it answers there", async () => {
  const [grpc = ""] = service.addresses;
  const listeners = [
    "--probes",
    service.probesAddress ?? "",
    "--admin",
    service.operatorAddress ?? "",
  ];
  const args = ["--prover", "fake", "--listen", grpc, ...listeners];
  const { code, stdout } = await cli("doctor", ...args);
  expect(stdout).toMatch(/WARN {2}listen +lean-aggregator test runs on/);
  expect(stdout).toMatch(/WARN {2}probes +lean-aggregator's listener for probes runs on/);
  expect(stdout).toMatch(/WARN {2}admin +lean-aggregator's admin listener runs on/);
  expect(code).toBe(0);
});

describe("serve", () => {
  const free = ["--probes", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

  test("answers until SIGTERM, then ends with 0", async () => {
    const args = ["serve", "--prover", "fake", "--listen", "127.0.0.1:0", ...free];
    const { code } = await runUntil(process.execPath, [MAIN, ...args], {
      signal: "SIGTERM",
      when: /listening/,
    });
    expect(code).toBe(0);
  });

  test("ends with 1 and the address when something listens there already", async () => {
    const [taken = ""] = service.addresses;
    const args = ["serve", "--prover", "fake", "--listen", taken, ...free];
    const { code, stderr } = await cli(...args);
    expect(stderr).toMatch(
      new RegExp(
        `cannot listen on --listen ${taken}: pid ${process.pid} .* listens there; stop it, or choose`,
      ),
    );
    expect(code).toBe(1);
  });

  test("ends with 2 and every wrong setting's name", async () => {
    const { code, stderr } = await cli("serve", "--fence-ms", "soon", "--probes", "nowhere");
    expect(stderr).toMatch(/invalid settings: 2 errors; .*\n {2}--probes .*\n {2}--fence-ms /);
    expect(code).toBe(2);
  });
});

test.each([
  [[]],
  [["sbmit"]],
  [["submit"]],
  [["info", "--jsn"]],
  [["submit", "x", "--fence-ms", "1s"]],
])("the wrong usage %j ends with 2", async (args) => {
  const { code, stdout } = await cli(...args);
  expect([code, stdout]).toEqual([2, ""]);
});

test("--help of each command has examples, exit codes, and no long lines", async () => {
  const { stdout } = await cli("--help");
  const names = [...stdout.matchAll(/^ {2}(\w+) (\[options\]|<)/gm)].map(([, name = ""]) => name);
  expect(names).toContain("verify");
  for (const name of names) {
    const help = await cli(name, "--help");
    expect(help.stdout, name).toMatch(/\nExamples:\n {2}.*lean-aggregator /);
    if (name !== "completion") expect(help.stdout, name).toMatch(/\nExit codes:\n {2}0 {2}/);
    for (const line of help.stdout.split("\n")) expect(line.length, line).toBeLessThan(90);
    expect(help.code, name).toBe(0);
  }
});
