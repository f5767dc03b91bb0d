/** `serve --record` and `replay`: what a service did is a file, and can be done again. */
import { appendFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { callAdmin } from "../../../client/rpc/operator-client.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import { readRecording } from "../../../server/recording/read-recording.js";
import { fakeSnapshot } from "../../../tools/harness/fake-snapshots.js";
import { ServiceProcess } from "../../../tools/harness/processes/service-process.js";
import { commandInProcess, MAIN, runUntil } from "../../helpers/command-line.js";
import { startTestService } from "../../helpers/start-service.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";
import { ServedPlace, until } from "../serve/served.js";

let service: ServiceProcess | undefined;
afterEach(() => service?.kill());

async function serve(...flags: string[]): Promise<ServedPlace> {
  const place = new ServedPlace();
  service = ServiceProcess.spawn({ flags: [...place.flags, "--fake-time", "20", ...flags] });
  await place.ready();
  return place;
}

/** Submits two snapshots, one after the other. */
async function submitTwo({ nodes }: ServedPlace): Promise<void> {
  const client = new AggregatorClient({ address: nodes });
  try {
    for (const requestId of ["one", "two"]) {
      const node = { nodeId: `node-${requestId}` };
      const budgets = { deadlineMs: 10_000, fenceMs: 20_000 };
      await client.submitSnapshot({ node, requestId, snapshot: fakeSnapshot(2), ...budgets });
      const { session } = await client.getSession({ node, requestId, waitMs: 10_000 });
      expect(session?.summary).toMatchObject({ proved: 2 });
    }
  } finally {
    client.close();
  }
}

/** Of all records but those of activity, which come by the clock. */
const kindsIn = (folder: string) =>
  [...readRecording(folder)].map(({ kind }) => kind).filter((kind) => kind !== "activity");
const whole = [
  "recording",
  ...["submission", "outcome", "outcome"],
  ...["submission", "outcome", "outcome"],
];

test("a recording outlives a kill, and is submitted again with the same results", async () => {
  const folder = join(temporaryFolder(), "recording");
  const place = await serve("--record", folder);
  await submitTwo(place);
  await until("all is written", () => kindsIn(folder).length === whole.length);
  await service?.kill();
  expect(kindsIn(folder)).toEqual(whole);
  const [name = ""] = readdirSync(folder);
  appendFileSync(join(folder, name), '{"kind":"submi');

  const again = await serve();
  const args = ["replay", folder, "--server", again.nodes, "--speed", "10"];
  const { code, stdout, stderr } = await commandInProcess(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const rows = stdout.split("\n").map((line) => line.trim().split(/\s{2,}/));
  expect(rows).toContainEqual(["snapshots accepted", "2", "2"]);
  expect(rows).toContainEqual(["groups proved", "4", "4"]);
  expect(rows).toContainEqual(["votes in proofs", "8", "8"]);
});

test("what the live page is shown is recorded, up to the end of the service", async () => {
  const folder = join(temporaryFolder(), "recording");
  await submitTwo(await serve("--record", folder, "--record-content", "shapes"));
  await service?.stop();
  const kinds = [...readRecording(folder)].flatMap((each) =>
    each.kind === "activity" ? each.answer.activities.map(({ event }) => event.case ?? "") : [],
  );
  expect(kinds.filter((kind) => kind === "accepted")).toHaveLength(2);
  expect(kinds.filter((kind) => kind === "ended")).toHaveLength(4);
  expect(kinds).toContain("lane");
});

test("the page of a recording names its address, and ends by an interrupt", async () => {
  const folder = join(temporaryFolder(), "recording");
  await submitTwo(await serve("--record", folder));
  await service?.kill();
  const until = { signal: "SIGINT", when: /^http:/ } as const;
  const ran = await runUntil(process.execPath, [MAIN, "page", folder], until);
  expect(ran.stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\n$/);
  expect(ran.stderr).toMatch(/^1 run of .*, \d+ activities; Ctrl-C ends the page\n$/);
  expect(ran.code).toBe(0);
});

test("a page of what is no recording, or for other machines, is refused with its name", async () => {
  const empty = temporaryFolder();
  expect(await commandInProcess(["page", empty])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(`${empty} has no recording`),
  });
  for (const address of ["0.0.0.0:0", "unix:/tmp/page.sock", "127.0.0.1"]) {
    const { code, stderr } = await commandInProcess(["page", empty, "--listen", address]);
    expect(code).toBe(2);
    expect(stderr).toContain("--listen");
    expect(stderr).toContain(address);
  }
});

test("fewer votes in proofs than then are an exit code of their own", async () => {
  const folder = join(temporaryFolder(), "recording");
  await submitTwo(await serve("--record", folder));
  await service?.kill();
  const slow = await serve("--fake-failures", "error:1");
  const args = ["replay", folder, "--server", slow.nodes, "--speed", "100"];
  const { code, stdout } = await commandInProcess(args);
  expect(stdout).toMatch(/groups failed: prover_error +0 +\d/);
  expect(code).toBe(3);
});

test("Ctrl-C after the last submission ends a replay at once", async () => {
  const folder = join(temporaryFolder(), "recording");
  await submitTwo(await serve("--record", folder));
  await service?.kill();
  let openGate: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (openGate = resolve));
  const slow = await startTestService(() =>
    startFakeProver({ proveMs: () => 1, sleep: () => gate }),
  );
  const abort = new AbortController();
  const args = ["replay", folder, "--server", slow.addresses[0] ?? "", "--speed", "100"];
  const replayed = commandInProcess(args, "", abort.signal);
  await until("both are submitted", async () => {
    const { sessions } = await callAdmin(slow.operatorAddress ?? "", "listSessions", {});
    return sessions.length === 2;
  });
  const startedMs = performance.now();
  abort.abort();
  expect(await replayed).toMatchObject({
    ...{ code: 1, stdout: "" },
    stderr: "lean-aggregator: interrupted; replay again for the whole table\n",
  });
  expect(performance.now() - startedMs).toBeLessThan(5000);
  openGate();
  await slow.close();
});

test("shapes have no bytes of keys and signatures, and no service to go to", async () => {
  const folder = join(temporaryFolder(), "recording");
  await submitTwo(await serve("--record", folder, "--record-content", "shapes"));
  await service?.kill();
  const bytes = [...readRecording(folder)].map((each) =>
    each.kind === "submission" ? each.bytes : 0,
  );
  expect(bytes.reduce((sum, of) => sum + of)).toBeLessThan(1000);
  expect(await commandInProcess(["replay", folder])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("it has no signatures to submit; run it in the simulation"),
  });
});

test("a folder that cannot be recorded in ends the start with its name", async () => {
  const place = new ServedPlace();
  service = ServiceProcess.spawn({ flags: [...place.flags, "--record", "/dev/null/x"] });
  const ended = await service.exited;
  expect(ended).toMatchObject({ code: 2 });
});
