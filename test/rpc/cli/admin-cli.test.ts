/** `lean-aggregator admin` as the operator runs it, against a service in this process. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { callAdmin } from "../../../client/rpc/operator-client.js";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import type { Service } from "../../../server/service.js";
import { fakeSnapshot } from "../../../tools/harness/fake-snapshots.js";
import { GatedProver } from "../schedule/gated-prover.js";
import { commandLine } from "../../helpers/command-line.js";
import { startTestService } from "../../helpers/start-service.js";

const prover = new GatedProver();
let service: Service;
let client: AggregatorClient;
beforeAll(async () => {
  service = await startTestService(prover.start, { drainMs: 1 });
  client = new AggregatorClient({ address: service.addresses[0] ?? "" });
});
afterAll(async () => {
  client.close();
  await service.close();
});
afterEach(async () => {
  prover.endProofs();
  await callAdmin(service.operatorAddress ?? "", "drainDevice", {
    deviceId: "cpu",
    drained: false,
  });
});

function admin(...args: string[]) {
  const env = { LEAN_AGGREGATOR_ADMIN: service.operatorAddress ?? "" };
  return commandLine(["admin", ...args], { env });
}

interface Listed {
  sessions: { sessionId: string; requestId: string }[];
}

/** The id of a session whose first proof runs and whose second group waits. */
async function proving(): Promise<string> {
  const { proofs } = prover;
  const { result } = await client.submitSnapshot({
    node: { nodeId: `node-${proofs}` },
    requestId: `request-${proofs}`,
    snapshot: fakeSnapshot(2),
    deadlineMs: 50_000,
    fenceMs: 60_000,
  });
  if (result.case !== "accepted") throw new Error(`skipped: ${JSON.stringify(result.value)}`);
  await prover.untilProofs(proofs + 1);
  const { sessions } = JSON.parse((await admin("sessions", "--json")).stdout) as Listed;
  const session = sessions.find(({ requestId }) => requestId === `request-${proofs}`);
  if (session === undefined) throw new Error("the session is not listed");
  return session.sessionId;
}

test("sessions and provers are tables for people, whole messages with --json", async () => {
  expect(await admin("sessions")).toMatchObject({ code: 0, stdout: "no sessions in flight\n" });
  const sessionId = await proving();
  const sessions = await admin("sessions");
  expect(sessions.stdout).toMatch(/^session +node +request +slot +priority +age ms /);
  const row = `${sessionId} +node-\\d+ +request-\\d+ +101 +aggregation +\\d+ +\\d+ +\\d+ +0 of \\d+ +running, queued\n`;
  expect(sessions.stdout).toMatch(new RegExp(row));
  const provers = await admin("provers");
  expect(provers.stdout).toMatch(
    new RegExp(`\ncpu +proving +fake fake-1 +${sessionId} +0 +\\d+ +\\d+ `),
  );
  expect(provers.stdout).toMatch(/\ncpu +active +- +yes +0\n$/);
  const raw: unknown = JSON.parse((await admin("provers", "--json")).stdout);
  expect(raw).toMatchObject({ devices: [{ deviceId: "cpu", drained: false }] });
  expect(await admin("end", sessionId)).toMatchObject({
    code: 0,
    stdout: `session ${sessionId} ended: 1 running and 1 queued groups\n`,
  });
  const again = { code: 0, stdout: `session ${sessionId} had ended already\n` };
  expect(await admin("end", sessionId)).toMatchObject(again);
});

test("drain says what still runs, and fails when its wait was too short", async () => {
  const idle = { code: 0, stdout: expect.stringContaining("; nothing runs on it\n") };
  expect(await admin("drain", "cpu", "--wait", "10000")).toMatchObject(idle);
  expect((await admin("provers")).stdout).toMatch(/\ncpu +idle, drained /);
  expect((await admin("undrain", "cpu")).stdout).toBe("device cpu gets work again\n");
  const sessionId = await proving();
  const busy = expect.stringMatching(/it gets no new work; a proof still runs\n/);
  expect(await admin("drain", "cpu")).toMatchObject({ code: 0, stdout: busy });
  expect(await admin("drain", "cpu", "--wait", "1")).toMatchObject({ code: 1, stdout: busy });
  await admin("end", sessionId);
});

test("restart says what it waits for", async () => {
  const now = "device cpu: a new prover starts\n";
  expect(await admin("restart", "cpu")).toMatchObject({ code: 0, stdout: now });
  const sessionId = await proving();
  const later = expect.stringMatching(
    /cpu: a new prover starts when its running attempt has ended\n/,
  );
  expect(await admin("restart", "cpu")).toMatchObject({ code: 0, stdout: later });
  expect((await admin("provers")).stdout).toMatch(/\ncpu +proving, restart due /);
  await admin("end", sessionId);
});

test("a missing device, session or listener ends with 1, and the error says what to do", async () => {
  const fails = (text: RegExp) => ({ code: 1, stdout: "", stderr: expect.stringMatching(text) });
  const noDevice = fails(
    /not found: device_id: no device "gpu": this service has cpu; see 'lean-aggregator admin prov/,
  );
  expect(await admin("drain", "gpu")).toMatchObject(noDevice);
  expect(await admin("restart", "cpu", "--standby")).toMatchObject(fails(/role: .* no standby/));
  expect(await admin("end", "nope")).toMatchObject(fails(/session_id: no session "nope"/));
  const elsewhere = ["--server", service.addresses[0] ?? ""];
  expect(await admin("provers", ...elsewhere)).toMatchObject(fails(/not the operator's listener/));
  const nobody = ["--server", "unix:/nonexistent/admin.sock"];
  expect(await admin("provers", ...nobody)).toMatchObject(
    fails(/cannot reach the operator's listener at .*: the socket does not exist; .*--server/),
  );
});

test("a wrong flag ends with 2, and the error names it", async () => {
  const message = expect.stringContaining("Expected host:port or unix:/path");
  const ended = await admin("provers", "--server", "off");
  expect(ended).toMatchObject({ code: 2, stdout: "", stderr: message });
});
