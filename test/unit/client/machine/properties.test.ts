/**
 * The adapter's machine under any sequence of events: repeated, reordered and lost ones, restarts,
 * and endpoints that come and go. fast-check prints the seed and the shortest sequence that fails.
 */
import fc from "fast-check";
import { expect, it } from "vitest";
import type { AdapterEvent, Submission } from "../../../../client/machine/index.js";
import { isIdle } from "../../../../client/machine/index.js";
import { latchKey } from "../../../../client/machine/state.js";
import type { Payload } from "./model.js";
import { Model, SLOT_MS } from "./model.js";

const ENDPOINTS = ["A", "B", "C"];
const GATES = { isAggregator: true, hasState: true };

const endpoint = fc.constantFrom(...ENDPOINTS);
const pick = fc.nat({ max: 3 });
const group = fc.nat({ max: 3 });
const service = fc.constantFrom("s1", "s1", "s1", "s2");
const state = fc.constantFrom(
  "ready" as const,
  "ready" as const,
  "no_prover" as const,
  "draining" as const,
);

const step = fc.oneof(
  fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1, 99, 100, 650, 1000, 3999) }),
  fc.record({
    do: fc.constant("submit" as const),
    priority: fc.constantFrom("proposal" as const, "aggregation" as const, "backlog" as const),
    proofKind: fc.constantFrom("aggregate" as const, "merge" as const),
    groups: fc.integer({ min: 1, max: 3 }),
    mayReplace: fc.boolean(),
    deadlineMs: fc.constantFrom(0, 750, 3000, 20_000),
    fenceMs: fc.constantFrom(null, null, 0, 500, 12_000),
    holdMs: fc.constantFrom(0, 0, 300),
    bytes: fc.nat({ max: 60 }),
  }),
  fc.record({
    do: fc.constant("accepted" as const),
    pick,
    endpoint,
    serviceId: service,
    fenceMs: fc.constantFrom(-1, 400, 20_000),
  }),
  fc.record({
    do: fc.constant("refused" as const),
    pick,
    endpoint,
    reason: fc.constantFrom("draining" as const, "no_prover" as const, "overloaded" as const),
  }),
  fc.record({ do: fc.constant("failed" as const), pick, endpoint, isTimeout: fc.boolean() }),
  fc.record({
    do: fc.constant("outcome" as const),
    pick,
    endpoint,
    group,
    bits: fc.nat({ max: 7 }),
    how: fc.constantFrom("proof", "proof", "late", "erased", "none", "drained"),
  }),
  fc.record({ do: fc.constant("summary" as const), pick, endpoint }),
  fc.record({
    do: fc.constant("opened" as const),
    endpoint,
    serviceId: service,
    state,
    known: fc.array(fc.constantFrom(true, false, null), { minLength: 4, maxLength: 4 }),
  }),
  fc.record({ do: fc.constant("status" as const), endpoint, state }),
  fc.record({ do: fc.constant("disconnected" as const), endpoint, isSilent: fc.boolean() }),
  fc.record({ do: fc.constant("opening" as const), endpoint }),
  fc.record({ do: fc.constant("verified" as const), pick, isValid: fc.boolean() }),
  fc.record({ do: fc.constant("cancel" as const), pick, groups: fc.option(fc.array(group)) }),
  fc.record({ do: fc.constant("take" as const), ahead: fc.constantFrom(0, 0, 0, 1, 2, -1) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;
type StepOf<K extends Step["do"]> = Extract<Step, { do: K }>;

function submit(model: Model, step: StepOf<"submit">): void {
  const { nowMs } = model;
  const slot = Math.floor(nowMs / SLOT_MS);
  const { priority, proofKind, mayReplace, groups, bytes } = step;
  const ask = { kind: "ask", slot, gates: GATES, priority, proofKind, mayReplace } as const;
  const answer = model.send(ask).at(-1);
  expect(["go", "skip"]).toContain(answer?.kind);
  if (answer?.kind === "skip" && answer.reason === "in_flight") {
    const holder = model.state.requests.get(model.state.latches.get(latchKey(step)) ?? "");
    expect(holder?.fencedAtMs, "the holder of a latch is before its fence").toBeNull();
  }
  const submission: Submission = {
    requestId: `r${model.told.length}`,
    priority,
    proofKind,
    slot,
    groups,
    bytes,
    deadlineAtMs: nowMs + step.deadlineMs,
    holdUntilMs: step.holdMs === 0 ? 0 : nowMs + step.holdMs,
    fenceAtMs: step.fenceMs === null ? (slot + 2) * SLOT_MS : nowMs + step.fenceMs,
    fenceSlot: step.fenceMs === null ? slot + 2 : null,
  };
  if (answer?.kind === "go") model.send({ kind: "submitted", submission });
}

function outcome(requestId: string, step: StepOf<"outcome">): AdapterEvent<Payload> {
  const { endpoint, group: groupIndex, bits, how } = step;
  const isProof = how !== "none" && how !== "drained";
  return {
    kind: "outcome",
    endpoint,
    requestId,
    groupIndex,
    message: `m${groupIndex % 2}`,
    isProof,
    isLate: how === "late",
    isErased: how === "erased",
    isDrained: how === "drained",
    participants: new Uint8Array([bits]),
    payload: { isProof },
  };
}

/** Makes the event of a step; newer requests are picked first. Null: no event. */
function eventOf(
  model: Model,
  step: Exclude<Step, StepOf<"submit" | "wait">>,
): AdapterEvent<Payload> | null {
  const idAt = (at: number) => `r${Math.max(0, model.told.length - 1 - at)}`;
  switch (step.do) {
    case "accepted": {
      const fenceAtMs = model.nowMs + step.fenceMs;
      return { ...step, kind: step.do, requestId: idAt(step.pick), fenceAtMs };
    }
    case "refused":
      return { ...step, kind: step.do, requestId: idAt(step.pick) };
    case "failed":
      return { ...step, kind: step.do, requestId: idAt(step.pick) };
    case "outcome":
      return outcome(idAt(step.pick), step);
    case "summary":
      return { ...step, kind: step.do, requestId: idAt(step.pick), durationMs: 1 };
    case "opened": {
      const awaited = step.known.flatMap((isKnown, at) =>
        isKnown === null ? [] : [{ requestId: idAt(at), isKnown }],
      );
      return { ...step, kind: step.do, awaited };
    }
    case "cancel":
      return { ...step, kind: step.do, requestId: idAt(step.pick) };
    case "verified": {
      const [ref] = model.verifying.splice(step.pick % Math.max(1, model.verifying.length), 1);
      return ref === undefined ? null : { ...step, kind: step.do, ref };
    }
    case "take":
      return { kind: step.do, slot: Math.floor(model.nowMs / SLOT_MS) + step.ahead };
    case "status":
      return { ...step, kind: step.do };
    case "disconnected":
      return { ...step, kind: step.do };
    case "opening":
      return { ...step, kind: step.do };
  }
}

function play(model: Model, step: Step): void {
  if (step.do === "wait") {
    model.nowMs += step.ms;
    return;
  }
  if (step.do === "submit") return submit(model, step);
  const event = eventOf(model, step);
  if (event !== null) model.send(event);
}

it.each([false, true])("keeps every promise, with the node's own verification: %s", (hasHook) => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 120, size: "max" }),
      fc.constantFrom(1, 2, 3),
      fc.constantFrom(2, 4096),
      fc.option(fc.nat({ max: 120 }), { nil: null }),
      (steps, endpoints, resultsMax, closeAt) => {
        const names = ENDPOINTS.slice(0, endpoints);
        const bounds = { resultsMax, bytesMax: 100 };
        const model = new Model({ endpoints: names, hasVerifyHook: hasHook, ...bounds });
        for (const [index, each] of steps.entries()) {
          if (index === closeAt) model.send({ kind: "closing" });
          if ("endpoint" in each && !names.includes(each.endpoint)) continue;
          play(model, each);
        }
        if (closeAt !== null) {
          model.send({ kind: "closed" });
          expect(isIdle(model.state), "idle when closed").toBe(true);
        }
        model.finish();
      },
    ),
    { numRuns: 1000 },
  );
});
