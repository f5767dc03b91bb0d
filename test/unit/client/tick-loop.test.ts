/** The example of docs/adopt, with a node that only keeps what it is given. */
import { afterEach, expect, it, vi } from "vitest";
import type { SnapshotInit, TickResult } from "../../../client/index.js";
import { exampleOptions, startTickLoop, type ExampleNode } from "../../../docs/adopt/tick-loop.js";
import { Priority, SkipReason } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { PROOF, ScriptedService } from "./scripted-service.js";

const SLOT_MS = 4000;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const eventually = (check: () => void) => vi.waitFor(check, { timeout: 10_000 });

/** The loop of a node in slot 5, so many ms after its start; `differently`: of the node. */
async function start(
  slotTimeMs: number,
  voteCount = { votes: 0, expectedVotes: 6 },
  differently: Partial<ExampleNode> = {},
) {
  const service = new ScriptedService();
  const address = await service.listen();
  cleanups.push(() => service.stop());
  const applied: Uint8Array[] = [];
  const logged: TickResult[] = [];
  const votes = (groups: number): SnapshotInit => ({ groups: Array(groups).fill({}) });
  const node: ExampleNode = {
    isAggregator: () => true,
    hasState: () => true,
    isProposing: () => false,
    voteCount: () => voteCount,
    pendingVotes: () => votes(1),
    olderVotes: (slot) => (slot === 5 ? votes(3) : null),
    isOnChain: () => false,
    applyProof: (proof) => void applied.push(proof),
    log: (result) => void logged.push(result),
    ...differently,
  };
  const clock = {
    slotMs: SLOT_MS,
    genesisUnixMs: 0,
    wallNowMs: () => 5 * SLOT_MS + slotTimeMs,
  };
  const loop = startTickLoop(node, clock, { ...exampleOptions(), endpoints: address });
  cleanups.push(() => {
    // Else closing waits for what nobody will end.
    loop.onReorg();
    return loop.close();
  });
  await eventually(() => expect(service.streams).toHaveLength(1));
  return { service, loop, applied, logged };
}

it("submits in interval 2, this slot's votes first, and applies the proof in a later interval", async () => {
  const { service, loop, applied, logged } = await start(1600);
  for (const interval of [0, 1]) loop.onInterval(5, interval);
  expect(service.submits).toEqual([]);

  const skipped = { case: "skipped", value: { reason: SkipReason.OVERLOADED } } as const;
  service.answerTo = (request) =>
    request.priority === Priority.BACKLOG ? { result: skipped } : service.accepted(request);
  loop.onInterval(5, 2);
  await eventually(() => expect(service.submits).toHaveLength(2));
  const sent = service.submits.map(({ priority, snapshot }) => [priority, snapshot?.groups.length]);
  expect(sent).toEqual([
    [Priority.AGGREGATION, 1],
    [Priority.BACKLOG, 3],
  ]);

  service.proved({}, service.submits[0]?.requestId);
  await eventually(() => {
    loop.onInterval(5, 3);
    expect(applied).toEqual([PROOF]);
  });
  expect(logged).toEqual([]);
});

it("submits early once two thirds of the votes are there, and then not again", async () => {
  const voteCount = { votes: 3, expectedVotes: 6 };
  const { service, loop } = await start(1100, voteCount);
  loop.onVotes(5);
  voteCount.votes = 4;
  loop.onVotes(5);
  loop.onInterval(5, 2);
  await eventually(() => expect(service.submits).toHaveLength(2));
  expect(service.submits.map(({ priority }) => priority)).toEqual([
    Priority.AGGREGATION,
    Priority.BACKLOG,
  ]);
});

it("tries again in interval 2 what was skipped as an early start", async () => {
  let hasState = false;
  const node = { hasState: () => hasState };
  const { service, loop } = await start(1100, { votes: 4, expectedVotes: 6 }, node);
  loop.onVotes(5);
  hasState = true;
  loop.onInterval(5, 2);
  await eventually(() => expect(service.submits).toHaveLength(2));
});

it("applies what is proved before an early start", async () => {
  const { service, loop, applied } = await start(1100, { votes: 4, expectedVotes: 6 });
  loop.onVotes(5);
  await eventually(() => expect(service.submits).toHaveLength(2));
  service.proved({}, service.submits[0]?.requestId);
  await eventually(() => {
    loop.onVotes(5);
    expect(applied).toEqual([PROOF]);
  });
});

it("cancels what has left the chain", async () => {
  const { service, loop, logged } = await start(1600);
  loop.onInterval(5, 2);
  await eventually(() => expect(service.submits).toHaveLength(2));
  loop.onReorg();
  await eventually(() => {
    loop.onInterval(5, 3);
    expect(logged.map(({ kind }) => kind)).toEqual(Array(4).fill("cancelled"));
  });
});
