/**
 * The adapter's machine under any sequence of events: repeated, reordered and lost ones, restarts,
 * and endpoints that come and go. fast-check prints the seed and the shortest sequence that fails.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import type {
  AdapterEffect,
  AdapterEvent,
  AdapterState,
  GroupRef,
  Submission,
} from "../../../client/index.js";
import { createAdapterState, LOST_GRACE_MS, transitionAdapter } from "../../../client/index.js";
import { READY_RESULTS_MAX } from "../../../client/adapter/state.js";

const ENDPOINTS = ["A", "B"] as const;
const SLOT_MS = 4000;
const GATES = { isAggregator: true, hasState: true };

interface Payload {
  isProof: boolean;
}

const pick = fc.nat({ max: 7 });
const endpoint = fc.constantFrom(...ENDPOINTS);
const priority = fc.constantFrom("proposal" as const, "aggregation" as const, "backlog" as const);
const groups = fc.integer({ min: 0, max: 3 });
const step = fc.oneof(
  fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1, 100, 900, 3999) }),
  fc.record({
    do: fc.constant("submit" as const),
    priority,
    groups,
    mayReplace: fc.boolean(),
    fenceMs: fc.constantFrom(null, 500, 12_000),
  }),
  fc.record({
    do: fc.constant("accept" as const),
    pick,
    endpoint,
    fenceMs: fc.constantFrom(400, 20_000),
    isNamesake: fc.boolean(),
  }),
  fc.record({
    do: fc.constant("refuse" as const),
    pick,
    endpoint: fc.constantFrom(...ENDPOINTS, null),
    reason: fc.constantFrom("draining" as const, "in_flight" as const, "unreachable" as const),
  }),
  fc.record({
    do: fc.constant("outcome" as const),
    pick,
    endpoint,
    group: groups,
    bits: fc.nat({ max: 15 }),
    isProof: fc.boolean(),
    isLate: fc.boolean(),
  }),
  fc.record({ do: fc.constant("summary" as const), pick, endpoint }),
  fc.record({ do: fc.constant("reconciled" as const), pick, endpoint, isEnded: fc.boolean() }),
  fc.record({ do: fc.constant("open" as const), endpoint, instance: fc.constantFrom("i1", "i2") }),
  fc.record({ do: fc.constant("break" as const), endpoint }),
  fc.record({
    do: fc.constant("gap" as const),
    endpoint,
    cause: fc.constantFrom("trimmed" as const, "restarted" as const),
  }),
  fc.record({ do: fc.constant("verified" as const), pick, isValid: fc.boolean() }),
  fc.record({ do: fc.constant("take" as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Accepted extends Submission {
  /** The first instant at which it was seen past its fence. */
  pastAtMs: number | null;
  ends: Map<number, string>;
}

const refuseChange = () => {
  throw new Error("a transition has changed the state that it was given");
};
const REFUSING = {
  set: refuseChange,
  add: refuseChange,
  delete: refuseChange,
  clear: refuseChange,
};

/** The state, in tables that refuse every change. */
function freeze(state: AdapterState<Payload>): AdapterState<Payload> {
  for (const { ended } of state.sessions.values()) Object.assign(ended, REFUSING);
  for (const table of Object.values(state).filter((each) => each instanceof Map)) {
    for (const entry of table.values()) Object.freeze(entry);
    Object.assign(table, REFUSING);
  }
  return Object.freeze({
    ...state,
    ready: Object.freeze(state.ready),
    early: Object.freeze(state.early),
  });
}

/** Plays steps against the machine, and checks what must hold for its effects. */
class Model {
  state: AdapterState<Payload>;
  nowMs = 0;
  private readonly submitted: Submission[] = [];
  private readonly accepted = new Map<string, Accepted>();
  private readonly sessionIds = new Map<string, string>();
  private pending: string[] = [];
  private toVerify: GroupRef[] = [];

  constructor(hasVerifyHook: boolean) {
    this.state = createAdapterState<Payload>({ endpoints: [...ENDPOINTS], hasVerifyHook });
  }

  get slot(): number {
    return Math.floor(this.nowMs / SLOT_MS);
  }

  send(event: AdapterEvent<Payload>): readonly AdapterEffect<Payload>[] {
    const { state, effects } = transitionAdapter(freeze(this.state), event, this.nowMs);
    this.state = state;
    for (const session of this.accepted.values())
      if (this.isPast(session)) session.pastAtMs ??= Math.min(this.nowMs, session.fenceAtMs);
    for (const effect of effects) this.check(effect);
    return effects;
  }

  private check(effect: AdapterEffect<Payload>): void {
    if (effect.kind === "verify") this.toVerify.push(effect.ref);
    if (effect.kind === "fenced") this.end(effect.ref, "fenced");
    if (effect.kind !== "deliver") return;
    const { result } = effect;
    this.end(result.ref, result.kind);
    if (result.kind !== "outcome" || !result.payload.isProof) return;
    const session = this.accepted.get(result.ref.requestId);
    expect(session !== undefined && this.isPast(session), "a proof past its fence").toBe(false);
  }

  private end({ requestId, groupIndex }: GroupRef, how: string): void {
    const session = this.accepted.get(requestId);
    expect(groupIndex, "a group of an accepted session").toBeLessThan(session?.groups ?? 0);
    expect(session?.ends.get(groupIndex), "a group ends once").toBeUndefined();
    session?.ends.set(groupIndex, how);
  }

  private isPast({ fenceAtMs, fenceSlot }: Submission): boolean {
    return this.nowMs >= fenceAtMs || (fenceSlot !== null && this.slot >= fenceSlot);
  }

  submit(step: Extract<Step, { do: "submit" }>): void {
    const { slot, nowMs } = this;
    const ask = { kind: "ask", slot, gates: GATES, ...step } as const;
    const answer = this.send(ask).at(-1);
    if (answer?.kind === "skip" && answer.reason === "in_flight") {
      const holders = this.submitted.filter((each) => each.priority === step.priority);
      expect(
        holders.some((each) => !this.isPast(each)),
        "a latch is stuck",
      ).toBe(true);
    }
    if (answer?.kind !== "go") return;
    const submission: Submission = {
      requestId: `r${this.submitted.length}`,
      priority: step.priority,
      slot,
      groups: step.groups,
      fenceAtMs: step.fenceMs === null ? (slot + 2) * SLOT_MS : nowMs + step.fenceMs,
      fenceSlot: step.fenceMs === null ? slot + 2 : null,
    };
    this.submitted.push(submission);
    this.pending.push(submission.requestId);
    this.send({ kind: "submitted", submission });
  }

  accept(step: Extract<Step, { do: "accept" }>): void {
    const requestId = this.pendingAt(step.pick);
    const pending = this.state.pending.get(requestId);
    if (pending === undefined) return;
    const { endpoint, fenceMs } = step;
    const sessionId = step.isNamesake ? this.idAt(0) : this.idOf(requestId);
    const fenceAtMs = Math.min(pending.fenceAtMs, pending.sentAtMs + fenceMs);
    const session = { ...pending, fenceAtMs, pastAtMs: null, ends: new Map<number, string>() };
    this.accepted.set(requestId, session);
    this.sessionIds.set(requestId, sessionId);
    this.send({ kind: "accepted", requestId, endpoint, sessionId, fenceMs });
  }

  refuse(step: Extract<Step, { do: "refuse" }>): void {
    const requestId = this.pendingAt(step.pick);
    const { endpoint, reason } = step;
    if (this.state.pending.has(requestId))
      this.send({ kind: "refused", requestId, endpoint, reason });
  }

  outcome(step: Extract<Step, { do: "outcome" }>): void {
    const { endpoint, group: groupIndex, bits, isProof, isLate } = step;
    const sessionId = this.idAt(step.pick);
    const message = `m${step.pick % 2}`;
    const participants = new Uint8Array([bits]);
    const payload = { isProof };
    const rest = { groupIndex, slot: 0, message, isProof, isLate, participants, payload };
    this.send({ kind: "outcome", endpoint, sessionId, ...rest });
  }

  verified(step: Extract<Step, { do: "verified" }>): void {
    const [ref] = this.toVerify.splice(step.pick % Math.max(1, this.toVerify.length), 1);
    if (ref !== undefined) this.send({ kind: "verified", ref, isValid: step.isValid });
  }

  take(): void {
    this.send({ kind: "take", slot: this.slot });
    for (const { pastAtMs, groups: count, ends, requestId } of this.accepted.values())
      if (pastAtMs !== null && this.nowMs >= pastAtMs + LOST_GRACE_MS)
        expect(ends.size, `${requestId} has ended a grace past its fence`).toBe(count);
  }

  play(step: Step): void {
    switch (step.do) {
      case "wait":
        this.nowMs += step.ms;
        return;
      case "submit":
        return this.submit(step);
      case "accept":
        return this.accept(step);
      case "refuse":
        return this.refuse(step);
      case "outcome":
        return this.outcome(step);
      case "verified":
        return this.verified(step);
      case "take":
        return this.take();
      case "break":
        return void this.send({ kind: "disconnected", endpoint: step.endpoint });
      case "open":
        return void this.send({ ...step, kind: "opened" });
      case "summary":
        return void this.send({ ...this.sessionOf(step), kind: "summary", durationMs: 1 });
      case "reconciled":
        return void this.send({ ...step, ...this.sessionOf(step), kind: "reconciled" });
      case "gap":
        return void this.send({ ...step, kind: "gap", sessionIds: [] });
    }
  }

  /** Answers every submission, and lets every fence and every grace pass. */
  finish(): void {
    for (const requestId of [...this.state.pending.keys()])
      this.send({ kind: "refused", requestId, endpoint: null, reason: "unreachable" });
    this.nowMs += 60_000;
    this.take();
    this.nowMs += LOST_GRACE_MS;
    this.take();
    for (const { groups: count, ends } of this.accepted.values()) expect(ends.size).toBe(count);
    const { latches, pending, sessions, seen, checking, early, ready } = this.state;
    const tables = [latches, pending, sessions, seen, checking].map((table) => table.size);
    expect([...tables, early.length, ready.length], "nothing is left").toEqual(Array(7).fill(0));
  }

  private sessionOf(step: { pick: number; endpoint: string }) {
    return { endpoint: step.endpoint, sessionId: this.idAt(step.pick) };
  }

  private pendingAt(index: number): string {
    this.pending = this.pending.filter((requestId) => this.state.pending.has(requestId));
    return this.pending[index % Math.max(1, this.pending.length)] ?? "none";
  }

  /** Newer submissions first; also of sessions that are not accepted yet. */
  private idAt(index: number): string {
    return this.idOf(`r${String(Math.max(0, this.submitted.length - 1 - index))}`);
  }

  private idOf(requestId: string): string {
    return this.sessionIds.get(requestId) ?? `s-${requestId}`;
  }
}

it.each([false, true])("keeps every promise, with the node's own verification: %s", (hasHook) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: "max" }), (steps) => {
      const model = new Model(hasHook);
      for (const each of steps) model.play(each);
      model.finish();
    }),
    { numRuns: 1000 },
  );
});

it("keeps apart two proofs that are verified at once for sessions of the same id", () => {
  const model = new Model(true);
  const submit = { do: "submit", groups: 1, mayReplace: false, fenceMs: null } as const;
  const accept = { do: "accept", pick: 0, endpoint: "B", fenceMs: 400 } as const;
  const proof = { do: "outcome", endpoint: "B", group: 0, bits: 0, isProof: true } as const;
  model.play({ ...submit, priority: "proposal" });
  model.play({ ...submit, priority: "aggregation" });
  for (const isNamesake of [true, false]) {
    model.play({ ...accept, isNamesake });
    model.play({ ...proof, pick: 0, isLate: false });
  }
  model.finish();
});

it("drops and counts the oldest of too many results that nobody takes", () => {
  let state = createAdapterState<string>({ endpoints: ["A"], hasVerifyHook: false });
  const send = (event: AdapterEvent<string>, nowMs: number) => {
    const step = transitionAdapter(state, event, nowMs);
    ({ state } = step);
    return step.effects;
  };
  const count = READY_RESULTS_MAX + 10;
  const submission: Submission = {
    requestId: "r",
    priority: "backlog",
    slot: 0,
    groups: count,
    fenceAtMs: 8000,
    fenceSlot: 2,
  };
  send({ kind: "submitted", submission }, 0);
  send({ kind: "accepted", requestId: "r", endpoint: "A", sessionId: "s", fenceMs: 8000 }, 0);
  const effects = send({ kind: "closed" }, 1);
  const dropped = effects.flatMap((each) => (each.kind === "dropped" ? [each.ref.groupIndex] : []));
  expect(dropped).toEqual(Array.from({ length: 10 }, (_, index) => index));
  expect(state.ready).toHaveLength(READY_RESULTS_MAX);
  expect(send({ kind: "take", slot: 0 }, 2)).toHaveLength(READY_RESULTS_MAX);
});
