/**
 * Counts slots: for each slot of a node in which it asked for an aggregate, when the first proof was
 * ready, by step of its request. A slot is counted once, at its last fence and when all its sessions have
 * ended, however often the node asked. Only requests with a step before their fence count: without one
 * nothing says when a proof helps the slot.
 */
import { limits } from "../limits.js";
import type { SkipReason } from "../reasons.js";
import { AGGREGATION } from "../work/priority.js";
import type { Envelope } from "../work/submission.js";
import type { Session } from "./session.js";

interface Slot {
  /** Index of the earliest step with a proof, or `LATE`, or `NEVER`; undefined: nothing to count yet. */
  step: number | undefined;
  /** The last fence of what is counted. */
  fenceAtMs: number;
  /** The submissions of its sessions in flight, each of which ends at its own fence at the latest. */
  readonly open: Set<Envelope>;
}

/** The proof was ready after the last step before the fence. */
const LATE = limits.stepsMax;
const NEVER = Infinity;
/** A step that ends this shortly before the fence ends at it: a node may compute them one after the other. */
const AT_FENCE_MS = 100;

/** Votes in no proof for reasons that are the node's, not the service's. */
const OF_THE_NODE =
  /^(bad_|wrong_|unknown_|other_system|covered|.*: (cancelled|superseded|min_inputs)$)/;

export class SlotAggregates {
  private readonly nodes = new Map<string, Map<bigint, Slot>>();
  private size = 0;

  /** @param count counts a slot */
  constructor(private readonly count: (ready: string) => void) {}

  /**
   * The node's snapshot was skipped. As `in_flight` it says nothing while a session of its slot is open: the
   * end of that session does.
   */
  skipped(envelope: Envelope, reason: SkipReason): void {
    const { nodeId, slot, isLookup } = envelope;
    const open = this.nodes.get(nodeId)?.get(slot)?.open.size ?? 0;
    const isLeftToOpen = reason === "in_flight" && open > 0;
    if (isLookup !== true && !isLeftToOpen) this.note(envelope, NEVER);
  }

  /** The node's snapshot was accepted; `ended` follows. */
  opened(submission: Envelope): void {
    if (earlyStepsOf(submission) > 0) this.slotOf(submission)?.open.add(submission);
  }

  /** The session has ended. One that its node cancelled, or whose inputs were bad or too few, says nothing. */
  ended({ submission, votes, leftOut }: Pick<Session, "submission" | "votes" | "leftOut">): void {
    const step = votes.proved.findIndex((count) => count > 0);
    const isOfNode = [...leftOut.keys()].every((name) => OF_THE_NODE.test(name));
    if (step >= 0 || !isOfNode) this.note(submission, step >= 0 ? step : NEVER);
    const { nodeId, slot } = submission;
    const known = this.nodes.get(nodeId)?.get(slot);
    known?.open.delete(submission);
    if (known?.step === undefined && known?.open.size === 0) this.remove(nodeId, slot);
  }

  /** Counts the slots whose fences have passed, once their sessions have ended. */
  expire(nowMs: number): void {
    for (const [nodeId, slots] of this.nodes) {
      for (const [slot, { step, fenceAtMs, open }] of slots) {
        if (step === undefined || fenceAtMs > nowMs || open.size > 0) continue;
        this.remove(nodeId, slot);
        this.count(step === NEVER ? "never" : step === LATE ? "late" : String(step + 1));
      }
    }
  }

  private note(envelope: Envelope, step: number): void {
    const early = earlyStepsOf(envelope);
    const known = early > 0 ? this.slotOf(envelope) : undefined;
    if (known === undefined) return;
    known.step = Math.min(step < early || step === NEVER ? step : LATE, known.step ?? NEVER);
    known.fenceAtMs = Math.max(envelope.fenceAtMs, known.fenceAtMs);
  }

  /** Undefined where there is no room: those that are in it stay, so that no node takes another's place. */
  private slotOf({ nodeId, slot }: Envelope): Slot | undefined {
    const slots = this.nodes.get(nodeId) ?? new Map<bigint, Slot>();
    const known = slots.get(slot);
    if (known !== undefined) return known;
    if (!this.hasRoom(slots)) return undefined;
    const added: Slot = { step: undefined, fenceAtMs: 0, open: new Set() };
    slots.set(slot, added);
    this.nodes.set(nodeId, slots);
    this.size++;
    return added;
  }

  private remove(nodeId: string, slot: bigint): void {
    const slots = this.nodes.get(nodeId);
    if (slots?.delete(slot) === true) this.size--;
    if (slots?.size === 0) this.nodes.delete(nodeId);
  }

  private hasRoom(slots: ReadonlyMap<bigint, Slot>): boolean {
    return slots.size < limits.slotsCountedOfNodeMax && this.size < limits.slotsCountedMax;
  }
}

/** Number of its steps before its fence; 0 for what says nothing of a slot. */
function earlyStepsOf({ priority, steps, fenceAtMs, isMerge }: Envelope): number {
  if (priority !== AGGREGATION || isMerge === true) return 0;
  return steps.filter(({ untilAtMs }) => untilAtMs < fenceAtMs - AT_FENCE_MS).length;
}
