/** One lane of certain costs: idle, or with a group that it proves. */
import type { LaneReport } from "../../server/lane/lane-messages.js";
import type { CostModel } from "../../server/work/costs/cost-model.js";
import { freshCostModel } from "../../server/work/costs/cost-model.js";
import type { DecodedGroup } from "../../server/work/group.js";
import { AGGREGATION } from "../../server/work/priority.js";
import { TestScheduler } from "./scheduler.js";

/** A model almost without doubt, in which a child takes `childMs` and a raw signature alone 100 ms. */
const certain = (childMs: number): CostModel => ({
  logMs: [100, 1, 0.01, childMs, 1].map(Math.log),
  covariance: freshCostModel.covariance.map((row) => row.map(() => 0)),
  scatter: 0.05 ** 2,
  atMs: 0,
});
/** The first of these is what a child takes a fold, the second what a proof takes a merge. */
export const costs = (foldMs: number, mergeMs: number): Pick<LaneReport, "costs"> => ({
  costs: [
    { kind: "fold", logInvRate: 0, model: certain(foldMs) },
    { kind: "merge", logInvRate: 0, model: certain(mergeMs) },
  ],
});

/** An idle lane on which a merged proof takes `mergeMs`. */
export function idleLane(mergeMs = 500): TestScheduler {
  const scheduler = new TestScheduler(["a"]);
  scheduler.announceIdle("a", 1, costs(500, mergeMs));
  return scheduler;
}

/** A lane that proves this group, after `mergeMs` for each proof of a merge, with a standby. */
export function busyLane(
  group: DecodedGroup,
  priority: number = AGGREGATION,
  mergeMs = 500,
): TestScheduler {
  const scheduler = idleLane(mergeMs);
  scheduler.submit("first", group, { priority });
  scheduler.announce("a", 1, {
    ...costs(500, mergeMs),
    phase: { kind: "proving", attempt: 1, proof: null },
    isStandbyReady: true,
  });
  return scheduler;
}
