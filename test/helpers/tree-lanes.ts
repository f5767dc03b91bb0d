/** Lanes whose provers take two raw signatures in a proof, and what they answer to a job. */
import type { Assignment } from "../../server/lane/lane-messages.js";
import { fakeCosts } from "../../server/prover/fake/fake-plan.js";
import type { FoldWork, LeftOut, ProofResult } from "../../server/work/group.js";
import type { ProverDescription } from "../../server/work/prover-description.js";
import type { Shape } from "../../server/work/shape.js";
import { decodedGroup, foldOf } from "../../tools/harness/decoded-group.js";
import { description, TestScheduler } from "./scheduler.js";

export const range = (count: number, from = 0) =>
  Array.from({ length: count }, (_, at) => from + at);
export const bytesOf = (validators: readonly number[]) => Uint8Array.from(validators);

/** Raw signatures of so many validators, whose keys are their numbers, and children of others. */
export function groupOf(raws: number, children: readonly (readonly number[])[] = []) {
  const work: FoldWork = {
    kind: "fold",
    message: { root: new Uint8Array(32), slot: 1 },
    raws: {
      validators: range(raws),
      keys: bytesOf(range(raws)),
      signatures: bytesOf(range(raws)),
    },
    children: children.map((validators, at) => {
      return { index: at + 3, validators, keys: bytesOf(validators), proof: bytesOf([200 + at]) };
    }),
    leftOut: [],
    logInvRate: 0,
  };
  return decodedGroup(work);
}

export const PROVE_MS = 100;

/** Lanes that take two raw signatures in a proof, of 100 ms each. */
export class TreeLanes extends TestScheduler {
  private leases = 1;
  readonly leaseOf = new Map<string, number>();

  constructor(
    lanes: readonly string[],
    private readonly limits: Partial<ProverDescription> = {},
    private readonly proveMs = PROVE_MS,
  ) {
    super(lanes);
    for (const lane of lanes) this.idle(lane);
  }

  get described(): ProverDescription {
    return { ...description, rawsMax: 2, ...this.limits };
  }

  async until(atMs: number): Promise<void> {
    await this.clock.runUntil(atMs, () => undefined);
  }

  get costs() {
    const { proveMs } = this;
    const time = { minMs: proveMs, maxMs: proveMs, rawMs: 0, childMs: 0 };
    return fakeCosts({ fakeTime: time }, this.clock.nowMs());
  }

  idle(lane: string): void {
    this.leaseOf.set(lane, ++this.leases);
    const { costs } = this;
    this.announceIdle(lane, this.leases, { costs, description: this.described });
  }

  /** Announces that the lane makes the proof of this assignment, with a standby beside it. */
  proving(of: { lane: string; attempt: number } | undefined, shape: Shape): void {
    if (of === undefined) throw new Error("no attempt is open");
    const proof = { startedAtMs: this.clock.nowMs(), shape };
    this.announce(of.lane, this.leaseOf.get(of.lane) ?? 0, {
      phase: { kind: "proving", attempt: of.attempt, proof },
      ...{ isStandbyReady: true, description: this.described, costs: this.costs },
    });
  }

  /** The assignments that have no result yet, by lane. */
  get open() {
    const ended = new Set(this.ends);
    const killed = new Set(this.sentOf("kill").map(({ attempt }) => attempt));
    return this.assignments.filter(({ attempt }) => !ended.has(attempt) && !killed.has(attempt));
  }

  private readonly ends: number[] = [];

  /** Ends the first open attempt, or that of the lane, so; the lane is idle again. */
  end(resultOf: (assignment: Assignment) => ProofResult, lane?: string): Assignment {
    const open = this.open.find((each) => lane === undefined || each.lane === lane);
    if (open === undefined) throw new Error("no attempt is open");
    this.ends.push(open.attempt);
    const result = resultOf(open.assignment);
    this.hear(open.lane, { kind: "ended", attempt: open.attempt, result });
    this.idle(open.lane);
    return open.assignment;
  }

  /** Makes every job's proof until every job has ended. */
  endAll(resultOf: (assignment: Assignment) => ProofResult = proved): FoldWork[] {
    const works: FoldWork[] = [];
    while (this.open.length > 0) works.push(foldOf(this.end(resultOf).work));
    return works;
  }
}

export const rawOut = (validatorIndex: number, reason: LeftOut["reason"]): LeftOut => {
  return { reason, input: { kind: "raw", validatorIndex }, digest: bytesOf([validatorIndex]) };
};

/** The result of proving all but these raw signatures. */
export function provedBut(bad: readonly number[]): (assignment: Assignment) => ProofResult {
  return ({ work }) => {
    const { raws, children } = foldOf(work);
    const all = [...raws.validators, ...children.flatMap(({ validators }) => validators)];
    const validators = [...new Set(all)].filter((v) => !bad.includes(v) || children.length > 0);
    const leftOut = raws.validators.filter((v) => bad.includes(v));
    return {
      kind: "proved",
      proof: bytesOf([raws.validators.length, children.length]),
      validators: validators.sort((a, b) => a - b),
      childrenFolded: children.map(({ index }) => index),
      leftOut: leftOut.map((v) => rawOut(v, "bad_signature")),
      proveMs: PROVE_MS,
      verifiedBy: "standby",
    };
  };
}
export const proved = provedBut([]);
export const died = (): ProofResult => {
  return { kind: "failed", reason: "prover_died", detail: "gone", deaths: 1 };
};
export const shapes = (works: readonly FoldWork[]) =>
  works.map(({ raws, children }) => raws.validators.length || -children.length);

/** Validators of the outcome's participants, from its bits. */
export function participants(bits: Uint8Array): number[] {
  return range(bits.length * 8).filter((at) => ((bits[at >> 3] ?? 0) >> (at & 7)) & 1);
}
