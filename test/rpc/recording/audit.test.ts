/** The audit record of a service: its totals are the counters', and no session waits for its disk. */
import { readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { callAdmin } from "../../../client/rpc/operator-client.js";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { LogLevel } from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { Priority } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { AuditLog } from "../../../server/audit/audit-log.js";
import { systemClock } from "../../../server/clock.js";
import { createLog } from "../../../server/log/log.js";
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Service } from "../../../server/service.js";
import { fakeSnapshot } from "../../../tools/harness/fake-snapshots.js";
import { listenTestService } from "../../helpers/start-service.js";
import { metricValue } from "../../helpers/metric-value.js";
import { temporaryFolder } from "../../helpers/temporary-folder.js";
import { GatedProver } from "../schedule/gated-prover.js";

type Line = Record<string, unknown> & { kind: string };

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function start(path: string, startProver = new GatedProver().start) {
  const audit = new AuditLog(path, { clock: systemClock, log: createLog("silent") });
  const service = await listenTestService(startProver, { drainMs: 1 }, { audit });
  ends.push(() => service.close());
  await service.ready();
  const client = new AggregatorClient({ address: service.addresses[0] ?? "" });
  ends.push(() => client.close());
  return { audit, service, client };
}

const budgets = { deadlineMs: 50_000, fenceMs: 60_000 };

/** What the sums of these lines are, by the names of the counters. */
function totalsOf(lines: readonly Line[]) {
  const sums = new Map<string, number>();
  const add = (name: string, by: unknown) => sums.set(name, (sums.get(name) ?? 0) + Number(by));
  for (const { kind, reason, groups, votesByFate, coreSeconds } of lines) {
    if (kind === "skip") add(`skipped_total{reason="${String(reason)}"}`, 1);
    if (kind !== "session") continue;
    add("accepted_total", 1);
    add("core_seconds_total", coreSeconds);
    for (const [status, count] of Object.entries(groups ?? {}))
      add(`outcomes_total{status="${status}"}`, count);
    for (const [fate, count] of Object.entries(votesByFate ?? {}))
      add(`votes_total{fate="${fate}"}`, count);
  }
  return sums;
}

/** The same of a scrape: every counter that is not 0; votes by their fate alone. */
async function counted(service: Service) {
  const text = await service.metrics.registry.metrics();
  const sums = new Map<string, number>();
  const names = "accepted_total|core_seconds_total|outcomes_total|skipped_total|votes_total";
  const pattern = new RegExp(`^lean_aggregator_server_(${names})(\\{.*?\\})? ([\\d.e-]+)$`, "gm");
  for (const [, name = "", labels = "", value] of text.matchAll(pattern)) {
    const fate = /fate="\w+"/.exec(labels)?.[0];
    const key = name + (fate === undefined ? labels : `{${fate}}`);
    if (Number(value) > 0) sums.set(key, (sums.get(key) ?? 0) + Number(value));
  }
  return sums;
}

test("its sums are the counters' after a mixed load with skips, cancels and an operator", async () => {
  const path = join(temporaryFolder(), "audit.jsonl");
  const prover = new GatedProver();
  const { audit, service, client } = await start(path, prover.start);
  const admin = service.operatorAddress ?? "";
  const submit = (nodeId: string, requestId: string, more: object = {}) =>
    client.submitSnapshot({
      ...{ node: { nodeId }, requestId, snapshot: fakeSnapshot(1), ...budgets },
      ...more,
    });
  const ended = (nodeId: string, requestId: string) =>
    client.getSession({ node: { nodeId }, requestId, waitMs: 10_000 });

  // Two nodes wait for one proof; a second snapshot of the first one is skipped.
  await submit("a", "a-1");
  await submit("b", "b-1", { priority: Priority.PROPOSAL });
  await prover.untilProofs(1);
  await submit("a", "a-2");
  prover.endProofs();
  await ended("a", "a-1");
  await ended("b", "b-1");
  // One of two that wait for a proof cancels: the other is charged after it has ended.
  await submit("a", "a-3");
  await submit("b", "b-3");
  await prover.untilProofs(2);
  await client.cancelSession({ node: { nodeId: "b" }, requestId: "b-3" });
  await ended("b", "b-3");
  prover.endProofs();
  await ended("a", "a-3");
  // A proof that is killed at its fence, groups without inputs, and what the operator does.
  await submit("c", "c-1", { deadlineMs: 1000, fenceMs: 1000 });
  await prover.untilProofs(3);
  await ended("c", "c-1");
  await submit("c", "c-2", { snapshot: fakeSnapshot(1, 2) });
  await prover.untilProofs(4);
  await callAdmin(admin, "drainDevice", { deviceId: "cpu" });
  await submit("d", "d-1");
  const { sessions } = await callAdmin(admin, "listSessions", {});
  await callAdmin(admin, "endSession", { sessionId: sessions[0]?.sessionId ?? "" });
  await callAdmin(admin, "drainDevice", { deviceId: "cpu", drained: false });
  await callAdmin(admin, "setLogLevel", { level: LogLevel.ERROR });
  client.close();
  await service.close();
  await audit.close();

  const lines = readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  const totals = totalsOf(lines);
  const counters = await counted(service);
  expect([...totals.keys()].toSorted()).toEqual([...counters.keys()].toSorted());
  for (const [name, value] of counters) expect(totals.get(name), name).toBeCloseTo(value, 6);
  expect(counters.get("core_seconds_total")).toBeGreaterThan(0.05);
  expect(totals.get("accepted_total")).toBe(6);

  const of = (request: string) => lines.find((line) => line["request"] === request);
  expect(of("b-1")).toMatchObject({ node: "b", duty: "proposal", votes: 2, result: "proved" });
  expect(of("a-2")).toMatchObject({ kind: "skip", node: "a", reason: "in_flight" });
  expect(of("b-3")).toMatchObject({ groups: { stopped: 1 }, result: "none" });
  expect(of("c-1")).toMatchObject({ groups: { stopped: 1 }, result: "none" });
  expect(of("d-1")).toMatchObject({ kind: "skip", reason: "no_prover" });
  const acts = lines.flatMap(({ kind, act }) => (kind === "act" ? [act] : []));
  expect(acts).toEqual(["drain", "end session", "drain", "set log level"]);
});

test.runIf(process.platform === "linux")("a full disk costs no session", async () => {
  const path = join(temporaryFolder(), "audit.jsonl");
  symlinkSync("/dev/full", path);
  const instant = () => startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() });
  const { audit, service, client } = await start(path, instant);
  for (const requestId of ["one", "two"]) {
    const node = { nodeId: "a" };
    await client.submitSnapshot({ node, requestId, snapshot: fakeSnapshot(1), ...budgets });
    const { session } = await client.getSession({ node, requestId, waitMs: 10_000 });
    expect(session?.summary).toMatchObject({ proved: 1 });
  }
  expect(
    await metricValue(service.metrics.registry, "lean_aggregator_server_audit_lines_lost_total"),
  ).toBe(0);
  await audit.close();
});
