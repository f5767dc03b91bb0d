/** A tree adopts what another door proves of its jobs, and takes of it only what the inputs decide. */
import { describe, expect, test } from "vitest";
import { OutcomeStatus } from "../../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Assignment } from "../../../../server/lane/lane-messages.js";
import type { ProofResult } from "../../../../server/work/group.js";
import { foldOf } from "../../../../tools/harness/decoded-group.js";
import {
  bytesOf,
  died,
  groupOf,
  participants,
  proved,
  range,
  rawOut,
  shapes,
  TreeLanes,
} from "../../../helpers/tree-lanes.js";

const FENCE_MS = 6000;

/** The jobs of a group of four: two leaves and their fold. */
function jobs(): readonly Assignment[] {
  const lanes = new TreeLanes(["x"]);
  lanes.submit("node", groupOf(4));
  lanes.endAll();
  return lanes.assignments.map(({ assignment }) => assignment);
}

/** A lane that proves nothing of this door, and shows that another door has this job there. */
class Beside extends TreeLanes {
  private adopted = 0;

  constructor(private readonly job: Assignment) {
    super(["a"]);
    this.add("b");
  }

  show(): void {
    this.announce("b", 1, {
      phase: { kind: "proving", attempt: null, proof: null },
      adoptable: [{ digest: this.job.digest, fenceAtMs: FENCE_MS, isRunning: true }],
      ...{ description: this.described, costs: this.costs },
    });
  }

  /** Ends the adopted attempt so; the other door begins the same again, if it does. */
  endAdopted(result: ProofResult, isBegunAgain = true): void {
    const adoption = this.sentOf("adopt")[this.adopted++];
    if (adoption === undefined) throw new Error("nothing was adopted");
    this.hear("b", { kind: "ended", attempt: adoption.attempt, result });
    this.announceIdle("b", 2, { isDrained: true, description: this.described });
    if (isBegunAgain) this.show();
  }
}

const [, second, fold] = jobs();
if (second === undefined || fold === undefined) throw new Error("a group of four has three jobs");

const shed: ProofResult = {
  kind: "proved",
  proof: bytesOf([1, 0]),
  validators: [2],
  childrenFolded: [],
  leftOut: [rawOut(3, "shed")],
  proveMs: 100,
};

describe("a leaf of which another door's attempt", () => {
  test.each<[string, ProofResult]>([
    ["is not started", { kind: "not_started", reason: "predicted_miss", leftOut: [] }],
    ["failed without a death", { kind: "failed", reason: "prover_error", detail: "", deaths: 0 }],
    ["had too few inputs for that door", { kind: "too_few_inputs", inputs: 2, leftOut: [] }],
    ["left out what it shed", shed],
  ])("%s is proved here, and no other is adopted", (_, result) => {
    const lanes = new Beside(second);
    lanes.submit("node", groupOf(4), { mayShed: false });
    lanes.show();
    expect(lanes.sentOf("adopt")).toMatchObject([{ lane: "b", digest: second.digest }]);
    lanes.endAdopted(result);
    expect(shapes(lanes.endAll())).toEqual([2, 2, -2]);
    expect(lanes.sentOf("adopt")).toHaveLength(1);
    const [outcome, ...others] = lanes.outcomes("node");
    expect(others).toEqual([]);
    expect(outcome).toMatchObject({ status: OutcomeStatus.PROVED, leftOut: [] });
    expect(participants(outcome?.participants ?? bytesOf([]))).toEqual(range(4));
  });

  test("failed so has both its tries left", () => {
    const lanes = new Beside(second);
    lanes.submit("node", groupOf(4), { mayShed: false });
    lanes.show();
    lanes.endAdopted({ kind: "failed", reason: "prover_error", detail: "", deaths: 0 });
    lanes.end(proved);
    lanes.end(died);
    expect(shapes(lanes.endAll())).toEqual([2, -2]);
    expect(lanes.outcomes("node")).toMatchObject([{ status: OutcomeStatus.PROVED }]);
  });

  test("proved it needs no lane", () => {
    const lanes = new Beside(second);
    lanes.submit("node", groupOf(4));
    lanes.show();
    lanes.endAdopted(proved(second));
    expect(shapes(lanes.endAll())).toEqual([2, -2]);
  });
});

test("a fold of which another door's proof leaves a bad one out is made again, of all", () => {
  const lanes = new Beside(fold);
  lanes.submit("node", groupOf(4));
  lanes.show();
  lanes.end(proved);
  lanes.end(proved);
  const [first, last] = foldOf(fold.work).children;
  if (first === undefined || last === undefined) throw new Error("the fold has two proofs");
  const input = { kind: "child", childIndex: first.index } as const;
  const leftOut = [{ reason: "bad_child", input, digest: bytesOf([9]) } as const];
  const validators = [...last.validators];
  const without = { kind: "proved", proof: bytesOf([0, 1]), proveMs: 100 } as const;
  lanes.endAdopted({ ...without, validators, childrenFolded: [last.index], leftOut }, false);
  expect(shapes(lanes.endAll())).toEqual([2, -2]);
  expect(lanes.outcomes("node")).toMatchObject([{ status: OutcomeStatus.PROVED, leftOut: [] }]);
});

test("a proof without an input that the job has to prove counts as a failed try", () => {
  const lanes = new TreeLanes(["a"]);
  lanes.submit("node", groupOf(4), { mayShed: false });
  lanes.end(proved);
  lanes.end(() => shed);
  expect(shapes(lanes.endAll())).toEqual([2, -2]);
  const [outcome] = lanes.outcomes("node");
  expect(participants(outcome?.participants ?? bytesOf([]))).toEqual(range(4));
});
