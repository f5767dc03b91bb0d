/** Plays events against the adapter's machine, and checks what must hold for its effects. */
import { expect } from "vitest";
import type {
  AdapterEffect,
  AdapterEvent,
  GroupRef,
  MachineOptions,
  MachineState,
  Submission,
} from "../../../../client/machine/index.js";
import {
  createMachine,
  isIdle,
  LOST_GRACE_MS,
  transition,
} from "../../../../client/machine/index.js";

export const SLOT_MS = 4000;

/** Says whether an outcome has a proof. */
export interface Payload {
  isProof: boolean;
}

interface Told {
  submission: Submission;
  ends: Map<number, string>;
  skips: number;
  forgets: number;
  summaries: number;
  isFenced: boolean;
}

const refuseChange = () => {
  throw new Error("a transition has changed the state that it was given");
};

/** Makes every change of what the state holds an error. */
function freeze(value: unknown): void {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return;
  if (value instanceof Uint8Array) return;
  if (value instanceof Map || value instanceof Set) {
    for (const each of value.values()) freeze(each);
    const refusing = { set: refuseChange, add: refuseChange, delete: refuseChange };
    Object.assign(value, refusing, { clear: refuseChange });
  }
  Object.freeze(value);
  for (const each of Object.values(value)) freeze(each);
}

export class Model {
  state: MachineState<Payload>;
  nowMs = 0;
  slot: number | null = null;
  readonly told: Told[] = [];
  readonly verifying: GroupRef[] = [];
  private readonly balanced: string[] = [];

  constructor(readonly options: MachineOptions) {
    this.state = createMachine<Payload>(options);
  }

  send(event: AdapterEvent<Payload>): readonly AdapterEffect<Payload>[] {
    freeze(this.state);
    if (event.kind === "ask" || event.kind === "take") this.slot = event.slot;
    if (event.kind === "submitted") this.add(event.submission);
    const { state, effects } = transition(this.state, event, this.nowMs);
    this.state = state;
    for (const each of this.told) each.isFenced ||= this.isPast(each.submission);
    for (const effect of effects) this.check(effect);
    this.checkBounds();
    return effects;
  }

  private add(submission: Submission): void {
    const counts = { skips: 0, forgets: 0, summaries: 0, isFenced: false };
    this.told.push({ submission, ends: new Map(), ...counts });
  }

  private isPast({ fenceAtMs, fenceSlot }: Submission): boolean {
    if (this.nowMs >= fenceAtMs) return true;
    return fenceSlot !== null && this.slot !== null && this.slot >= fenceSlot;
  }

  private toldOf(requestId: string): Told {
    const found = this.told.find(({ submission }) => submission.requestId === requestId);
    if (found === undefined) throw new Error(`an effect names the unknown request ${requestId}`);
    return found;
  }

  private check(effect: AdapterEffect<Payload>): void {
    switch (effect.kind) {
      case "send":
        return this.checkSend(effect);
      case "skip":
        if (effect.requestId === null) return;
        this.checkSkip(this.toldOf(effect.requestId));
        return;
      case "forget":
        expect(++this.toldOf(effect.requestId).forgets, "forgotten once").toBe(1);
        return;
      case "summarised":
        expect(++this.toldOf(effect.requestId).summaries, "summarised once").toBe(1);
        return;
      case "balanced":
        expect(this.balanced, "told once").not.toContain(effect.endpoint);
        this.balanced.push(effect.endpoint);
        return;
      case "cancel":
        expect(this.options.endpoints).toContain(effect.endpoint);
        expect(
          [...effect.groups].sort((a, b) => a - b),
          "ascending",
        ).toEqual(effect.groups);
        return;
      case "verify":
        this.verifying.push(effect.ref);
        return;
      case "fenced":
      case "dropped":
        return this.end(effect.ref, effect.kind);
      case "deliver":
        return this.checkDelivery(effect);
      default:
        return;
    }
  }

  private checkSend(effect: Extract<AdapterEffect<Payload>, { kind: "send" }>): void {
    const { submission, skips, forgets, isFenced } = this.toldOf(effect.requestId);
    const atMs = this.nowMs + effect.afterMs;
    expect([skips, forgets], "a send of a request that is over").toEqual([0, 0]);
    expect(isFenced, "a send past the fence").toBe(false);
    expect(atMs, "a send past the fence").toBeLessThan(effect.fenceAtMs);
    expect(effect.fenceAtMs, "a longer fence").toBeLessThanOrEqual(submission.fenceAtMs);
    expect(this.options.endpoints).toContain(effect.endpoint);
  }

  private checkSkip(told: Told): void {
    expect(++told.skips, "skipped once").toBe(1);
    for (const how of told.ends.values())
      expect(["cancelled", "dropped"], "a skip after a result").toContain(how);
  }

  private checkDelivery({ result }: Extract<AdapterEffect<Payload>, { kind: "deliver" }>): void {
    const { submission, isFenced } = this.toldOf(result.ref.requestId);
    this.end(result.ref, result.kind);
    expect(this.nowMs, "held back").toBeGreaterThanOrEqual(submission.holdUntilMs);
    if (result.kind === "outcome" && result.payload.isProof)
      expect(isFenced, "a proof past its fence").toBe(false);
  }

  private end({ requestId, groupIndex, slot }: GroupRef, how: string): void {
    const { submission, ends, skips } = this.toldOf(requestId);
    expect(groupIndex, "a group of the request").toBeLessThan(submission.groups);
    expect(slot).toBe(submission.slot);
    expect(ends.get(groupIndex), "a group ends once").toBeUndefined();
    // A result of a request that is skipped later waits until it is taken.
    if (skips > 0) expect(["cancelled", "dropped"]).toContain(how);
    ends.set(groupIndex, how);
  }

  private checkBounds(): void {
    const { results, requests, resultsMax, bytesMax } = this.state;
    expect(results.size).toBeLessThanOrEqual(resultsMax);
    const kept = [...requests.values()].filter(({ hasBytes }) => hasBytes);
    const total = kept.reduce((sum, { bytes }) => sum + bytes, 0);
    if (kept.length > 1) expect(total).toBeLessThanOrEqual(bytesMax);
  }

  /** Lets every fence and every wait after it pass: each group has ended, and nothing is left. */
  finish(): void {
    const fences = this.told.map(({ submission }) => submission.fenceAtMs);
    this.nowMs = Math.max(this.nowMs, ...fences);
    this.send({ kind: "tick" });
    this.nowMs += LOST_GRACE_MS;
    this.send({ kind: "tick" });
    const { requests, verifying, seen, latches } = this.state;
    expect([requests.size, verifying.size, seen.length], "nothing is left").toEqual([0, 0, 0]);
    expect([...latches], "latches").toEqual([]);
    expect(isIdle(this.state)).toBe(true);
    const holds = this.told.map(({ submission }) => submission.holdUntilMs);
    this.nowMs = Math.max(this.nowMs, ...holds);
    this.send({ kind: "take", slot: Math.floor(this.nowMs / SLOT_MS) });
    expect(this.state.results.size, "no result is left").toBe(0);
    for (const { submission, ends, skips, forgets } of this.told) {
      expect(forgets, `${submission.requestId} is forgotten`).toBe(1);
      if (skips === 0) expect(ends.size, submission.requestId).toBe(submission.groups);
    }
  }
}
