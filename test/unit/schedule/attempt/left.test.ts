/** Attempts that nobody waits for any more: killed a few times a minute of each node, else left to run. */
import { describe, expect, test } from "vitest";
import {
  OutcomeReason,
  OutcomeStatus,
} from "../../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../../server/limits.js";
import { heldOnceEnded } from "../../../helpers/held-bytes.js";
import { groupOfRaws, provedResult, TestScheduler } from "../../../helpers/scheduler.js";
import { groupOf, TreeLanes } from "../../../helpers/tree-lanes.js";

const LEFT = { status: OutcomeStatus.STOPPED, reason: OutcomeReason.CANCELLED };

class Lanes extends TestScheduler {
  private lease = 0;
  private works = 0;

  constructor(private readonly hasStandby = true) {
    super(["a"]);
    this.idle();
  }

  idle(): void {
    this.announceIdle("a", ++this.lease, { isStandbyReady: this.hasStandby });
  }

  /** Announces that the lane proves its newest assignment, so large. Returns the attempt's number. */
  proving(raws = 1): number {
    const attempt = this.assignments.at(-1)?.attempt ?? 0;
    const proof = { startedAtMs: this.clock.nowMs(), shape: { raws, children: 0 } };
    const phase = { kind: "proving", attempt, proof } as const;
    this.announce("a", this.lease, { phase, isStandbyReady: this.hasStandby });
    return attempt;
  }

  proved(attempt: number): void {
    this.hear("a", { kind: "ended", attempt, result: provedResult });
    this.idle();
  }

  get kills(): number {
    return this.sentOf("kill").length;
  }

  /** Submits a group of work that nobody else has, which starts, and cancels it. */
  submitAndCancel(nodeId: string): number {
    const requestId = `${nodeId} ${++this.works}`;
    const submitted = this.submit(nodeId, groupOfRaws(requestId, 1), { requestId });
    expect(submitted).toMatchObject({ kind: "accepted" });
    const attempt = this.proving();
    this.admission.cancel(nodeId, requestId, []);
    return attempt;
  }

  /** As often as provers are killed for it; the lane is idle afterwards. */
  useUp(nodeId: string): void {
    for (let times = 1; times <= limits.killsPerMinuteMax; times++) {
      this.submitAndCancel(nodeId);
      expect(this.kills).toBe(times);
      this.idle();
    }
  }

  /** An attempt that runs though nobody waits. Returns its number. */
  left(nodeId: string): number {
    this.useUp(nodeId);
    return this.submitAndCancel(nodeId);
  }
}

describe("an attempt that its only node has cancelled", () => {
  test("is killed a few times a minute; one more runs on, and its group ends at once", () => {
    const lanes = new Lanes();
    const attempt = lanes.left("loop");
    expect(lanes.kills).toBe(limits.killsPerMinuteMax);
    expect(lanes.outcomes("loop")).toHaveLength(limits.killsPerMinuteMax + 1);
    expect(lanes.outcomes("loop").at(-1)).toMatchObject(LEFT);
    expect(lanes.admission.listSessions()).toEqual([]);
    lanes.proved(attempt);
    expect(lanes.outcomes("loop").at(-1)).toMatchObject(LEFT);
    const ended = limits.killsPerMinuteMax + 1;
    expect(lanes.memory.heldBytes).toBe(heldOnceEnded(ended, ended));
  });

  test("is charged to the node for as long as it runs", async () => {
    const lanes = new Lanes();
    const attempt = lanes.left("loop");
    await lanes.clock.runUntil(lanes.clock.nowMs() + 3000, () => undefined);
    lanes.proved(attempt);
    expect(lanes.usedMs("loop")).toBeCloseTo(3000, 0);
  });

  test("is killed again once a minute is over, and for other nodes meanwhile", async () => {
    const lanes = new Lanes();
    lanes.proved(lanes.left("loop"));
    lanes.submitAndCancel("other");
    expect(lanes.kills).toBe(limits.killsPerMinuteMax + 1);
    lanes.idle();
    await lanes.clock.runUntil(lanes.clock.nowMs() + 60_000, () => undefined);
    lanes.submitAndCancel("loop");
    expect(lanes.kills).toBe(limits.killsPerMinuteMax + 2);
  });
});

test("the operator's end of a session kills its prover all the same", () => {
  const lanes = new Lanes();
  lanes.useUp("loop");
  lanes.submit("loop", groupOfRaws("work", 1));
  lanes.proving();
  const [session] = lanes.admission.listSessions();
  lanes.admission.endSession(session?.id ?? "");
  expect(lanes.kills).toBe(limits.killsPerMinuteMax + 1);
});

describe("an attempt that is left", () => {
  test("is preempted like backlog, for votes that would lose by waiting", () => {
    const killsFor = (ms: number) => {
      const lanes = new Lanes();
      lanes.left("loop");
      lanes.proving(40);
      const budgets = { deadlineAtMs: ms, fenceAtMs: ms + 2000 };
      expect(lanes.submit("other", groupOfRaws("other", 1), budgets).kind).toBe("accepted");
      return lanes.kills - limits.killsPerMinuteMax;
    };
    expect(killsFor(60_000)).toBe(0);
    expect(killsFor(400)).toBe(1);
  });

  test("goes on to its end where no standby would take over", () => {
    const lanes = new Lanes(false);
    lanes.left("loop");
    lanes.submit("other", groupOfRaws("other", 1), { deadlineAtMs: 300, fenceAtMs: 4000 });
    expect(lanes.kills).toBe(limits.killsPerMinuteMax);
  });

  test("is joined by equal work, and is not preempted any more", () => {
    const lanes = new Lanes();
    const attempt = lanes.left("loop");
    const digest = lanes.assignments.at(-1)?.assignment.digest ?? "";
    lanes.submit("other", groupOfRaws(digest, 1));
    lanes.submit("third", groupOfRaws("third", 1));
    expect(lanes.kills).toBe(limits.killsPerMinuteMax);
    lanes.proved(attempt);
    expect(lanes.outcomes("other")).toMatchObject([{ status: OutcomeStatus.PROVED }]);
    expect(lanes.outcomes("loop").at(-1)).toMatchObject(LEFT);
  });

  test("is counted too when a later run of its node ends its session", () => {
    const lanes = new Lanes();
    lanes.useUp("loop");
    lanes.submit("loop", groupOfRaws("old", 1));
    lanes.proving();
    lanes.admission.enter("loop", 2n);
    const reason = OutcomeReason.SUPERSEDED;
    expect(lanes.outcomes("loop").at(-1)).toMatchObject({ status: OutcomeStatus.STOPPED, reason });
    expect(lanes.kills).toBe(limits.killsPerMinuteMax);
  });

  test("whose prover dies is not tried again", () => {
    const lanes = new Lanes();
    const attempt = lanes.left("loop");
    const result = { kind: "failed", reason: "prover_died", detail: "", deaths: 1 } as const;
    lanes.hear("a", { kind: "ended", attempt, result });
    lanes.idle();
    expect(lanes.assignments.at(-1)?.attempt).toBe(attempt);
  });
});

describe("a tree of jobs that is left", () => {
  /** On three lanes; six raw signatures are three leaves and a fold. */
  function leftTree() {
    const lanes = new TreeLanes(["a", "b", "c"]);
    lanes.admission.node("loop").takeKills(limits.killsPerMinuteMax);
    lanes.submit("loop", groupOf(6), { requestId: "tree" });
    for (const each of lanes.open) lanes.proving(each, { raws: 2, children: 0 });
    lanes.admission.cancel("loop", "tree", []);
    expect(lanes.sentOf("kill")).toEqual([]);
    return lanes;
  }

  test("starts no other job, and holds nothing but its outcome", () => {
    const lanes = leftTree();
    expect(lanes.memory.heldBytes).toBe(heldOnceEnded(1, 1));
    expect(lanes.open).toHaveLength(3);
    lanes.endAll();
    expect(lanes.assignments).toHaveLength(3);
    expect(lanes.outcomes("loop")).toMatchObject([LEFT]);
    expect(lanes.memory.heldBytes).toBe(heldOnceEnded(1, 1));
  });

  test("counts a kill for each of its jobs on lanes", () => {
    const lanes = new TreeLanes(["a", "b", "c"]);
    const node = lanes.admission.node("loop");
    node.takeKills(limits.killsPerMinuteMax - 1);
    lanes.submit("loop", groupOf(6), { requestId: "tree" });
    lanes.admission.cancel("loop", "tree", []);
    expect(lanes.sentOf("kill")).toHaveLength(3);
    expect(node.takeKills(1)).toBe(false);
  });
});
