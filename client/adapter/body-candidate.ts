/**
 * The body of the node's next block, built ahead of it: the shell of the growing candidate in
 * `client/machine/candidate.ts`. `TickAggregator.growBody` makes it. No method blocks or throws.
 */
import type { Claim, Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  OutcomeReason,
  OutcomeStatus,
  VerifiedBy,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { assertNever } from "../errors.js";
import type {
  Candidate,
  CandidateEffect,
  CandidateEvent,
  CandidateState,
  OfferedComponent,
} from "../machine/candidate.js";
import { createCandidate, growCandidate } from "../machine/candidate.js";
import type { AdapterPriority, AdapterSkipReason } from "../machine/index.js";
import type { ComponentInit, MergeGates, MergeInit, MergeOptions } from "./merge.js";
import type { SubmitAnswer, TickResult } from "./options.js";

const COMPONENTS_MAX_DEFAULT = 8;
const GRACE_MS_DEFAULT = 500;
/** Longest deadline and fence of a request, as the service has them, in milliseconds. */
const BUDGET_MS_MAX = 120_000;
/** Three may be in flight; those before them were cancelled, and their results are on their way. */
const REQUESTS_MAX = 16;

export interface BodyOptions {
  /** Asked before each merge, as by `mergeOrSkip`. */
  gates: () => MergeGates;
  /** Most components of the body, from 1. Default 8. */
  componentsMax?: number;
  /** How long after its slot's start a finished body may still be taken. Default 500. */
  graceMs?: number;
  /** Default `aggregation`. */
  priority?: Exclude<AdapterPriority, "proposal">;
}

/** A component that the body may have. */
export type BodyComponent = ComponentInit & {
  /** Names the message and its signers, for example by root and participants. */
  key: string;
  /** What it adds to a body; with 0 it is not asked for. Default: its number of votes. */
  worth?: number;
};

/**
 * What the body of a block may have, in the order of the block and of preference: a smaller body has
 * the first components. The adapter copies nothing of it, and a finished body has the same components: the
 * node never changes what it has offered.
 */
export interface BodyOffer extends Omit<MergeInit, "components"> {
  /** Slot of the block. */
  blockSlot: number;
  /** Root of the parent block. */
  parent: Uint8Array;
  components: readonly BodyComponent[];
}

/** A finished body. The block's body has these components in this order, and the proof all of them. */
export interface Body {
  components: readonly BodyComponent[];
  /** Who signed which message, in the order of the components. */
  claims: readonly Claim[];
  proof: Uint8Array;
}

export interface BodyCandidateModules {
  hasVerifyHook: boolean;
  mergeOrSkip(
    slot: number,
    gates: MergeGates,
    merge: () => MergeInit,
    options: MergeOptions,
  ): SubmitAnswer;
  cancel(requestId: string): void;
  /** Milliseconds until the slot starts. */
  timeToSlotMs(slot: number): number;
  /** Passes the results of these requests that are ready to their candidate, and leaves the others. */
  collect(slot: number, requestIds: readonly string[]): void;
  report(error: unknown): void;
}

export class BodyCandidate {
  private state: CandidateState<BodyComponent, Outcome>;
  private slot = 0;
  /** The proposal is now: nothing more is submitted for it. */
  private isTaking = false;
  private shared: Omit<MergeInit, "components"> = {};
  /** The newest merges of this candidate that have not ended. */
  private requests: string[] = [];

  constructor(
    private readonly options: BodyOptions,
    private readonly modules: BodyCandidateModules,
  ) {
    const { componentsMax = COMPONENTS_MAX_DEFAULT } = options;
    if (!(Number.isInteger(componentsMax) && componentsMax > 0))
      throw new TypeError(`componentsMax is ${componentsMax}: give a whole number from 1`);
    this.state = createCandidate(componentsMax);
  }

  /**
   * Says what the body may have by now; call it in each tick, and when a component has come. A merge of
   * what is worth more replaces one that has not begun; one that runs goes on. Another parent or block
   * forgets what was for the last one. What has failed is tried again, once.
   */
  offer(currentSlot: number, { blockSlot, parent, components, ...shared }: BodyOffer): void {
    this.slot = currentSlot;
    this.shared = shared;
    const offered = components.map((component) => offeredOf(component, shared.sszBitlists));
    const block = { slot: blockSlot, parent: hexOf(parent) };
    this.dispatch({ kind: "offered", ...block, components: offered });
    this.dispatch({ kind: "tick", slot: currentSlot });
  }

  /** The parent has left the node's chain: cancels what is in flight, and forgets what is finished. */
  forget(): void {
    this.dispatch({ kind: "stale" });
  }

  /**
   * The best finished body so far, of the block that was offered last; null without one, and from the
   * body's fence on.
   */
  get best(): Body | null {
    const { growing } = this.state;
    return growing === null ? null : this.inTime(growing.slot, bodyOf(growing.best));
  }

  /**
   * Returns the best finished body of this block at the start of its slot, or null: then the block's
   * body is empty. `graceMs` after that start is too late for any. Never waits. Ends the candidate, and
   * cancels what is in flight.
   */
  take(blockSlot: number, parent: Uint8Array): Body | null {
    this.isTaking = true;
    try {
      this.modules.collect(blockSlot, this.requests);
    } finally {
      this.isTaking = false;
    }
    let body: Body | null = null;
    for (const effect of this.dispatch({ kind: "take", slot: blockSlot, parent: hexOf(parent) }))
      if (effect.kind === "taken") body = bodyOf(effect.candidate);
    return this.inTime(blockSlot, body);
  }

  /** Called with each result that the node takes. Returns true for one of this candidate's. */
  absorb(currentSlot: number, result: TickResult): boolean {
    if (!this.end(result.requestId)) return false;
    this.slot = currentSlot;
    this.dispatch(this.eventOf(result));
    return true;
  }

  /**
   * Called with each request that is skipped later. Returns true for one of this candidate's. `mayPass`: it
   * was refused for what is not in it, so its components are tried once more.
   */
  skipped(reason: AdapterSkipReason, requestId: string, mayPass: boolean): boolean {
    if (!this.end(requestId)) return false;
    this.dispatch(mayPass ? { kind: "failed", requestId, bad: [] } : skipOf(reason, requestId));
    return true;
  }

  /** The body, or null from its fence on. Where the node's clock throws, nothing is known to be in time. */
  private inTime(blockSlot: number, body: Body | null): Body | null {
    if (body === null) return null;
    const { graceMs = GRACE_MS_DEFAULT } = this.options;
    try {
      return this.modules.timeToSlotMs(blockSlot) + graceMs > 0 ? body : null;
    } catch (error) {
      this.modules.report(error);
      return null;
    }
  }

  /** Returns whether this is a merge of this candidate, and forgets it. */
  private end(requestId: string): boolean {
    const others = this.requests.filter((each) => each !== requestId);
    const isOwn = others.length < this.requests.length;
    this.requests = others;
    return isOwn;
  }

  private dispatch(
    event: CandidateEvent<BodyComponent, Outcome>,
  ): readonly CandidateEffect<BodyComponent, Outcome>[] {
    const { state, effects } = growCandidate(this.state, event);
    this.state = state;
    for (const effect of effects) this.run(effect);
    return effects;
  }

  private run(effect: CandidateEffect<BodyComponent, Outcome>): void {
    switch (effect.kind) {
      case "submit":
        return this.submit(effect.slot, effect.components);
      case "cancel":
        return this.modules.cancel(effect.requestId);
      case "taken": // The answer to `take`, which reads it.
        return;
      default:
        return assertNever(effect);
    }
  }

  /** An error of the node's functions is as a skip: what follows it must not reach the tick. */
  private submit(blockSlot: number, components: readonly BodyComponent[]): void {
    let answer: CandidateEvent<BodyComponent, Outcome>;
    try {
      answer = this.answerTo(blockSlot, components);
    } catch (error) {
      this.modules.report(error);
      answer = { kind: "skipped", requestId: null, isFinal: false };
    }
    this.dispatch(answer);
  }

  private answerTo(
    blockSlot: number,
    components: readonly BodyComponent[],
  ): CandidateEvent<BodyComponent, Outcome> {
    const { gates, priority = "aggregation", graceMs = GRACE_MS_DEFAULT } = this.options;
    const startMs = this.modules.timeToSlotMs(blockSlot);
    const fenceMs = startMs + graceMs;
    // Of a block too far ahead the service refuses a merge: it is asked for in a later tick.
    if (this.isTaking || !(startMs > 0) || fenceMs > BUDGET_MS_MAX)
      return { kind: "skipped", requestId: null, isFinal: false };
    const answer = this.modules.mergeOrSkip(
      this.slot,
      gates(),
      () => ({ ...this.shared, components }),
      {
        priority,
        mayReplace: true,
        deadlineMs: startMs,
        fenceMs,
        steps: [{ untilMs: startMs, weight: 1 }],
      },
    );
    if ("skipped" in answer) return skipOf(answer.skipped, null);
    const { requestId } = answer;
    this.requests = [...this.requests, requestId].slice(-REQUESTS_MAX);
    return { kind: "submitted", requestId };
  }

  private eventOf(result: TickResult): CandidateEvent<BodyComponent, Outcome> {
    const { requestId } = result;
    if (result.kind !== "outcome") return { kind: "failed", requestId, bad: [] };
    const { outcome } = result;
    const { status, reason, leftOut, verifiedBy } = outcome;
    if (status === OutcomeStatus.PROVED || status === OutcomeStatus.PROVED_LATE) {
      const isVerified = this.modules.hasVerifyHook || verifiedBy !== VerifiedBy.UNSPECIFIED;
      return { kind: "proved", requestId, proof: outcome, isVerified };
    }
    if (status === OutcomeStatus.NOT_STARTED && isOfSize(reason))
      return { kind: "missed", requestId };
    if (reason === OutcomeReason.SUPERSEDED) return { kind: "superseded", requestId };
    const bad = leftOut.flatMap(({ input }) =>
      input.case === "componentIndex" ? [input.value] : [],
    );
    return { kind: "failed", requestId, bad };
  }
}

function skipOf(
  reason: AdapterSkipReason,
  requestId: string | null,
): CandidateEvent<BodyComponent, Outcome> {
  if (reason === "predicted_miss") return { kind: "missed", requestId };
  return { kind: "skipped", requestId, isFinal: reason === "invalid" };
}

/** Whether a smaller merge may start where one was not started for this reason. */
function isOfSize(reason: OutcomeReason): boolean {
  switch (reason) {
    case OutcomeReason.DEADLINE:
    case OutcomeReason.PREDICTED_MISS:
    case OutcomeReason.MEMORY:
    case OutcomeReason.LIMIT:
      return true;
    default:
      return false;
  }
}

function bodyOf(candidate: Candidate<BodyComponent, Outcome> | null): Body | null {
  if (candidate === null) return null;
  const { components, proof: outcome } = candidate;
  return { components, claims: outcome.claims, proof: outcome.proof };
}

function offeredOf(
  component: BodyComponent,
  isSszBitlist = false,
): OfferedComponent<BodyComponent> {
  const { key, worth = votesOf(component, isSszBitlist) } = component;
  return { key, worth, component };
}

function votesOf(component: ComponentInit, isSszBitlist: boolean): number {
  if (!("proof" in component)) return component.signatures.length;
  let bits = isSszBitlist ? -1 : 0;
  for (const byte of component.participants)
    for (let rest = byte; rest > 0; rest >>= 1) bits += rest & 1;
  return bits;
}

function hexOf(root: Uint8Array): string {
  return Buffer.from(root).toString("hex");
}
