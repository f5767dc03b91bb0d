/** The example of docs/adopt, with a node that only keeps what it is given. */
import { afterEach, expect, it, vi } from "vitest";
import type { SnapshotInit, TickResult } from "../../../client/index.js";
import { exampleOptions, startTickLoop } from "../../../docs/adopt/tick-loop.js";
import { Priority, SkipReason } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { PROOF, ScriptedService } from "./scripted-service.js";

const SLOT_MS = 4000;
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

it("submits in interval 2, this slot's votes first, and applies the proof in a later interval", async () => {
  const service = new ScriptedService();
  const address = await service.listen();
  cleanups.push(() => service.stop());
  const applied: Uint8Array[] = [];
  const logged: TickResult[] = [];
  const votes = (groups: number): SnapshotInit => ({ groups: Array(groups).fill({}) });
  const node = {
    isAggregator: () => true,
    hasState: () => true,
    pendingVotes: () => votes(1),
    olderVotes: (slot: number) => (slot === 5 ? votes(3) : null),
    applyProof: (proof: Uint8Array) => void applied.push(proof),
    log: (result: TickResult) => void logged.push(result),
  };
  // Slot 5 starts now.
  const options = exampleOptions(Date.now() - 5 * SLOT_MS, SLOT_MS);
  const loop = startTickLoop(node, SLOT_MS, { ...options, endpoints: address });
  cleanups.push(() => loop.close());
  await vi.waitFor(() => expect(service.streams).toHaveLength(1), { timeout: 10_000 });
  for (const interval of [0, 1]) loop.onInterval(5, interval);
  expect(service.submits).toEqual([]);

  const skipped = { case: "skipped", value: { reason: SkipReason.OVERLOADED } } as const;
  service.answerTo = (request) =>
    request.priority === Priority.BACKLOG ? { result: skipped } : service.accepted(request);
  loop.onInterval(5, 2);
  await vi.waitFor(() => expect(service.submits).toHaveLength(2), { timeout: 10_000 });
  const sent = service.submits.map(({ priority, snapshot }) => [priority, snapshot?.groups.length]);
  expect(sent).toEqual([
    [Priority.AGGREGATION, 1],
    [Priority.BACKLOG, 3],
  ]);

  service.proved({}, service.submits[0]?.requestId);
  await vi.waitFor(
    () => {
      loop.onInterval(5, 3);
      expect(applied).toEqual([PROOF]);
    },
    { timeout: 10_000 },
  );
  expect(logged).toEqual([]);
});
