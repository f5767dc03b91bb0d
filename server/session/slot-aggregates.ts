/**
 * Counts slots: for each slot of a node in which it asked for an aggregate, when the first proof was
 * ready, by step of its request. A slot is counted once, at its last fence, however often the node
 * asked. Only requests with steps count: without them nothing says when a proof helps the slot.
 */
import { limits } from "../limits.js";
import { AGGREGATION } from "../work/priority.js";
import type { Envelope } from "../work/submission.js";
import type { Session } from "./session.js";

interface Slot {
  /** Index of the earliest step with a proof; the number of steps: after them; Infinity: never. */
  step: number;
  steps: number;
  fenceAtMs: number;
}

/** Votes in no proof for reasons that are the node's, not the service's. */
const OF_THE_NODE = /^(bad_|wrong_|unknown_|covered|stopped: cancelled|.*: (cancelled|superseded))/;

export class SlotAggregates {
  /** By node and slot; in the order in which they came. */
  private readonly slots = new Map<string, Slot>();

  /** @param count counts a slot */
  constructor(private readonly count: (ready: string) => void) {}

  /** The node's snapshot was skipped. */
  skipped(envelope: Envelope): void {
    if (envelope.isLookup !== true) this.note(envelope, Infinity);
  }

  /** The session has ended. One that its node cancelled, or whose inputs were bad, says nothing. */
  ended({ submission, votes, leftOut }: Pick<Session, "submission" | "votes" | "leftOut">): void {
    if (submission.groups[0]?.work.kind === "merge") return;
    const step = votes.proved.findIndex((count) => count > 0);
    const isOfNode = [...leftOut.keys()].every((name) => OF_THE_NODE.test(name));
    if (step >= 0 || !isOfNode) this.note(submission, step >= 0 ? step : Infinity);
  }

  /** Counts the slots whose fences have passed. */
  expire(nowMs: number): void {
    for (const [key, slot] of this.slots) if (slot.fenceAtMs <= nowMs) this.settle(key, slot);
  }

  private note({ nodeId, slot, priority, steps, fenceAtMs }: Envelope, step: number): void {
    if (priority !== AGGREGATION || steps.length === 0) return;
    const key = `${nodeId}/${slot}`;
    const known = this.slots.get(key);
    this.slots.set(key, {
      step: Math.min(step, known?.step ?? Infinity),
      steps: steps.length,
      fenceAtMs: Math.max(fenceAtMs, known?.fenceAtMs ?? 0),
    });
    if (this.slots.size <= limits.slotsCountedMax) return;
    const [oldest] = this.slots;
    if (oldest !== undefined) this.settle(...oldest);
  }

  private settle(key: string, { step, steps }: Slot): void {
    this.slots.delete(key);
    this.count(step === Infinity ? "never" : step < steps ? String(step + 1) : "after");
  }
}
