/** What the log says of snapshots, groups and calls, and of the prover. */
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { fakeSnapshot } from "../../../tools/harness/fake-snapshots.js";
import { snapshot as snapshotOf } from "../../../tools/harness/vectors.js";
import { inventedGroup } from "../../../tools/harness/wire/contract.js";
import { ServiceProcess } from "../../../tools/harness/processes/service-process.js";
import { commandLine } from "../../helpers/command-line.js";
import { ServedPlace, until } from "./served.js";

let service: ServiceProcess | undefined;
afterEach(() => service?.kill());

/** The log of a service that has proved one snapshot, by message. */
async function logAt(
  level: string,
  snapshot = fakeSnapshot(2),
  { flags = [], traceparent }: { flags?: readonly string[]; traceparent?: string } = {},
) {
  const place = new ServedPlace();
  const started = (service = ServiceProcess.spawn({
    flags: [...place.flags, "--log-level", level, ...flags],
  }));
  await place.ready();
  const client = new AggregatorClient({ address: place.nodes });
  const budgets = { deadlineMs: 5000, fenceMs: 8000 };
  const node = { nodeId: "node-1", nodeEpoch: 1n };
  const request = create(SubmitSnapshotRequestSchema, { node, snapshot, ...budgets });
  await client.submitEncoded(toBinary(SubmitSnapshotRequestSchema, request), { traceparent });
  client.close();
  await until("the session ends", () => started.log.some(({ msg }) => msg === "session ended"));
  return { line: (msg: string) => started.log.find((line) => line.msg === msg) };
}

test("info: a fake prover, an accepted snapshot and its end, with votes", async () => {
  const { line } = await logAt("info");
  expect(line("the prover is fake: it simulates proofs, and no result is a proof")).toMatchObject({
    level: "warn",
  });
  const who = { node: "node-1", session: expect.stringMatching(/^[0-9a-f]{16}$/) as unknown };
  expect(line("snapshot accepted")).toMatchObject({
    ...{ level: "info", ...who, priority: "aggregation", groups: 2 },
    ...{ votes: expect.any(Number) as unknown, deadlineMs: 5000, fenceMs: 8000 },
  });
  const votes = (line("snapshot accepted") as { votes?: number }).votes;
  const ended = { ...who, votes, votesProved: votes, groups: 2, groupsByStatus: { proved: 2 } };
  expect(line("session ended")).toMatchObject(ended);
  expect(line("session ended")).not.toHaveProperty("votesLeftOut");
  expect(line("session ended")).not.toHaveProperty("jobs");
  expect(line("snapshot accepted")).not.toHaveProperty("trace_id");
  expect(line("call ended")).toBeUndefined();
});

test("info: the caller's trace, where the call has one", async () => {
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
  const { line } = await logAt("info", fakeSnapshot(1), { traceparent });
  for (const msg of ["snapshot accepted", "session ended"])
    expect(line(msg)).toHaveProperty("trace_id", traceId);
});

test("info: the jobs by which large groups were proved, at the end of their session", async () => {
  const large = inventedGroup(
    0,
    Array.from({ length: 12 }, (_, at) => at),
  );
  const { line } = await logAt("info", snapshotOf(1, [large]), { flags: ["--leaf-raws-max", "4"] });
  expect(line("session ended")).toMatchObject({
    groupsByStatus: { proved: 1 },
    jobs: { leaves: 3, folds: 1, done: 4, tries: 4 },
  });
});

test("debug: also each call, group, attempt and lane", async () => {
  const { line } = await logAt("debug");
  expect(line("call ended")).toMatchObject({ level: "debug", code: "ok" });
  const { request } = line("session ended") as { request?: string };
  expect(request).toBeTypeOf("string");
  expect(line("group started")).toMatchObject({ request, group: 0 });
  expect(line("group ended")).toMatchObject({ request, group: 0, status: "proved" });
  expect(line("attempt ended")).toMatchObject({ device: "cpu", result: "proved" });
  expect(line("lane announces")).toMatchObject({ device: "cpu" });
});

test("'admin log-level' prints and sets the level of the running service", async () => {
  const place = new ServedPlace();
  const started = (service = ServiceProcess.spawn({ flags: place.flags }));
  await place.ready();
  const admin = (...args: string[]) => commandLine(["admin", "log-level", ...args, ...place.admin]);
  expect(await admin()).toMatchObject({ code: 0, stdout: "info\n" });
  expect((await admin("debug")).stdout).toBe("the log level is debug, it was info\n");
  expect(await admin()).toMatchObject({ code: 0, stdout: "debug\n" });
  expect((await admin("loud")).code).toBe(2);
  await until("calls are logged", () => started.log.some(({ msg }) => msg === "call ended"));
});
