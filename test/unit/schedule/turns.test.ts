/** The turns of those that let others go first: merges made ahead, and trees of backlog. */
import { describe, expect, test } from "vitest";
import {
  OutcomeReason,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import type { CostModel } from "../../../server/work/costs/cost-model.js";
import { freshCostModel } from "../../../server/work/costs/cost-model.js";
import type { ProofResult } from "../../../server/work/group.js";
import { BACKLOG, PROPOSAL } from "../../../server/work/priority.js";
import {
  description,
  groupOfMerge,
  groupOfRaws,
  TestScheduler,
  provedResult as proved,
} from "../../helpers/scheduler.js";
import { groupOf, proved as treeProved, range, TreeLanes } from "../../helpers/tree-lanes.js";

const PROOFS = limits.proofsBeforeBacklog;

/** A model almost without doubt, in which a child takes `childMs` and a raw signature alone 100 ms. */
const certain = (childMs: number): CostModel => ({
  logMs: [100, 1, 0.01, childMs, 1].map(Math.log),
  covariance: freshCostModel.covariance.map((row) => row.map(() => 0)),
  scatter: 0.05 ** 2,
  atMs: 0,
});
/** Each proof of a merge takes a second. */
const report = {
  costs: [
    { kind: "fold", logInvRate: 0, model: certain(500) },
    { kind: "merge", logInvRate: 0, model: certain(1000) },
  ],
} as const;
const rejected: ProofResult = { kind: "rejected", leftOut: [] };
const body = (digest: string, proofs = 1) => groupOfMerge(digest, { raws: 0, proofs });
const votes = (digest: string) => groupOfRaws(digest, 1);
const long = { deadlineAtMs: 100_000, fenceAtMs: 104_000 };

/** One lane, which is idle. */
class OneLane extends TestScheduler {
  constructor() {
    super(["a"]);
    this.announceIdle("a", 1, report);
  }

  /** The digests of what the lane got, in order. */
  get begun(): string[] {
    return this.assignments.map(({ assignment }) => assignment.digest);
  }

  /** Ends what the lane has so; the lane is idle again. */
  end(result: ProofResult): void {
    const attempt = this.assignments.length;
    this.hear("a", { kind: "ended", attempt, result });
    this.announceIdle("a", attempt + 1, report);
  }

  async until(atMs: number): Promise<void> {
    await this.clock.runUntil(atMs, () => undefined);
  }
}

describe("the turn of merges made ahead", () => {
  test("is used up by a merge that is never proved: votes go between", () => {
    const lane = new OneLane();
    for (const n of range(20)) lane.submit(`voter ${n}`, votes(`votes ${n}`), long);
    for (const n of range(20)) lane.submit(`hostile ${n}`, body(`body ${n}`), long);
    while (lane.begun.length < PROOFS + 10)
      lane.end(lane.begun.at(-1)?.startsWith("body") === true ? rejected : proved);
    const kinds = lane.begun.map((digest) => digest.split(" ")[0]);
    // The first votes had begun before a body came.
    const first = range(PROOFS + 1).map(() => "votes");
    expect(kinds.slice(0, PROOFS + 7)).toEqual([
      ...first,
      ...["body", "votes", "body", "votes", "body", "votes"],
    ]);
  });

  test("is not used up by a block that is proved", () => {
    const lane = new OneLane();
    for (const n of range(20)) lane.submit(`voter ${n}`, votes(`votes ${n}`), long);
    lane.submit("proposer", body("body"), long);
    range(PROOFS).forEach(() => lane.end(proved));
    lane.submit("now", body("block"), { ...long, priority: PROPOSAL });
    lane.end(proved);
    expect(lane.begun.at(-1)).toBe("block");
    lane.end(proved);
    expect(lane.begun.at(-1)).toBe("body");
  });

  /** A lane on which votes come every 4 s. A body has waited for them, and their eighth proof runs. */
  async function afterEightVotes(): Promise<OneLane> {
    const lane = new OneLane();
    for (const slot of range(6 + PROOFS)) {
      await lane.until(4000 * slot);
      lane.submit(`voter ${slot}`, votes(`votes ${slot}`), long);
      if (slot === 5 + PROOFS) return lane;
      lane.end(proved);
      if (slot !== 5) continue;
      await lane.until(4000 * slot + 1500);
      lane.submit("patient", body("waits", 5), long);
      expect(lane.begun.at(-1)).toBe("votes 5");
    }
    return lane;
  }

  test("comes to fewer messages where a body would be late after the votes to come", async () => {
    const lane = await afterEightVotes();
    lane.admission.cancel("patient", "7", []);
    const nowMs = lane.clock.nowMs();
    await lane.until(nowMs + 2000);
    const soon = { deadlineAtMs: nowMs + 6000, fenceAtMs: nowMs + 6500 };
    expect(lane.submit("proposer", body("body", 3), soon).kind).toBe("accepted");
    lane.end(proved);
    expect(lane.outcomes("proposer")).toMatchObject([
      { status: OutcomeStatus.NOT_STARTED, reason: OutcomeReason.PREDICTED_MISS },
    ]);
    // Votes are expected before the end of these too: they begin because it is their turn.
    lane.submit("proposer", body("fewer", 2), { ...soon, fenceAtMs: nowMs + 9000 });
    expect(lane.begun.at(-1)).toBe("fewer");
    lane.end(rejected);
    lane.submit("another", body("next", 2), { ...soon, fenceAtMs: nowMs + 9000 });
    expect(lane.begun.at(-1), "the turn is used up").toBe("fewer");
  });
});

test("a body that is held begins though another group's preemption was looked at meanwhile", async () => {
  const lanes = new TestScheduler(["a", "b"]);
  const of = (lane: string) => {
    return { ...report, description: { ...description, messagesMax: lane === "a" ? 1 : 8 } };
  };
  lanes.announceIdle("b", 1, of("b"));
  const backlog = { priority: BACKLOG, ...long };
  lanes.submit("old", votes("old"), backlog);
  const proof = { startedAtMs: 0, shape: { raws: 1, children: 0 } };
  const phase = { kind: "proving", attempt: 1, proof } as const;
  lanes.announce("b", 1, { ...of("b"), phase, isStandbyReady: true });
  lanes.announceIdle("a", 1, of("a"));
  lanes.submit("voter", votes("votes"), long);
  lanes.submit("proposer", body("body"), { ...long, shouldReplace: true });
  // Lane b may end its proof in time for the block, which lane a cannot merge.
  lanes.submit("now", body("block", 3), { ...long, priority: PROPOSAL, deadlineAtMs: 400 });
  lanes.hear("a", { kind: "ended", attempt: 2, result: proved });
  lanes.announceIdle("a", 2, of("a"));
  const begun = () => lanes.assignments.map(({ assignment }) => assignment.digest);
  await lanes.clock.runUntil(200, () => undefined);
  expect(lanes.sentOf("kill"), "looked at again at 150 ms").toHaveLength(1);
  expect(begun()).toEqual(["old", "votes"]);
  await lanes.clock.runUntil(251, () => undefined);
  expect(begun()).toEqual(["old", "votes", "body"]);
});

describe("a tree of backlog", () => {
  const backlog = { priority: BACKLOG, ...long };

  /** One lane that has begun a tree of backlog, and then gets votes without end. */
  function besideVotes(): TreeLanes {
    const lanes = new TreeLanes(["a"]);
    lanes.submit("old", groupOf(6), backlog);
    for (const n of range(60)) lanes.submit(`voter ${n}`, groupOfRaws(`votes ${n}`, 1), long);
    return lanes;
  }

  test("gets a proof after as many votes as other backlog, until it is proved", () => {
    const lanes = besideVotes();
    const jobs: number[] = [];
    for (let at = 0; at < 45; at++) {
      if (!lanes.end(treeProved).digest.startsWith("votes")) jobs.push(at);
    }
    expect(jobs).toEqual([0, 1, 2, 3].map((job) => job * (PROOFS + 1)));
    expect(lanes.outcomes("old")).toMatchObject([{ status: OutcomeStatus.PROVED }]);
  });

  test("is not preempted once it has had its turn", async () => {
    const lanes = besideVotes();
    range(PROOFS + 1).forEach(() => lanes.end(treeProved));
    lanes.proving(lanes.open[0], { raws: 2, children: 0 });
    const nowMs = lanes.clock.nowMs();
    lanes.submit("urgent", groupOf(2), { deadlineAtMs: nowMs + 300, fenceAtMs: nowMs + 9000 });
    await lanes.until(nowMs + 299);
    expect(lanes.sentOf("kill")).toEqual([]);
  });
});
