/**
 * Counts slots: for each slot of a node in which it asked for an aggregate, when the first proof was
 * ready, by step of its request. A slot is counted once, at its last fence, however often the node
 * asked. Only requests with a step before their fence count: without one nothing says when a proof
 * helps the slot.
 */
import { limits } from "../limits.js";
import { AGGREGATION } from "../work/priority.js";
import type { Envelope } from "../work/submission.js";
import type { Session } from "./session.js";

interface Slot {
  /** Index of the earliest step with a proof, or `LATE`, or `NEVER`. */
  step: number;
  fenceAtMs: number;
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

  /** The node's snapshot was skipped. */
  skipped(envelope: Envelope): void {
    if (envelope.isLookup !== true) this.note(envelope, NEVER);
  }

  /** The session has ended. One that its node cancelled, or whose inputs were bad or too few, says nothing. */
  ended({ submission, votes, leftOut }: Pick<Session, "submission" | "votes" | "leftOut">): void {
    const step = votes.proved.findIndex((count) => count > 0);
    const isOfNode = [...leftOut.keys()].every((name) => OF_THE_NODE.test(name));
    if (step >= 0 || !isOfNode) this.note(submission, step >= 0 ? step : NEVER);
  }

  /** Counts the slots whose fences have passed. */
  expire(nowMs: number): void {
    for (const [nodeId, slots] of this.nodes) {
      for (const [slot, { step, fenceAtMs }] of slots) {
        if (fenceAtMs > nowMs) continue;
        slots.delete(slot);
        this.size--;
        this.count(step === NEVER ? "never" : step === LATE ? "late" : String(step + 1));
      }
      if (slots.size === 0) this.nodes.delete(nodeId);
    }
  }

  private note(envelope: Envelope, step: number): void {
    const { nodeId, slot, priority, steps, fenceAtMs } = envelope;
    const early = steps.filter(({ untilAtMs }) => untilAtMs < fenceAtMs - AT_FENCE_MS).length;
    if (priority !== AGGREGATION || early === 0 || envelope.isMerge === true) return;
    const slots = this.nodes.get(nodeId) ?? new Map<bigint, Slot>();
    const known = slots.get(slot);
    // Those that are in it stay, so that no node takes another's place.
    if (known === undefined && !this.hasRoom(slots)) return;
    if (known === undefined) this.size++;
    slots.set(slot, {
      step: Math.min(step < early || step === NEVER ? step : LATE, known?.step ?? NEVER),
      fenceAtMs: Math.max(fenceAtMs, known?.fenceAtMs ?? 0),
    });
    this.nodes.set(nodeId, slots);
  }

  private hasRoom(slots: ReadonlyMap<bigint, Slot>): boolean {
    return slots.size < limits.slotsCountedOfNodeMax && this.size < limits.slotsCountedMax;
  }
}
