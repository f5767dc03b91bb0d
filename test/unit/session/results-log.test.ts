/** The results log: bounded, resumable, and without proofs past their fence. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { OutcomeSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ResultsLog } from "../../../server/session/results-log.js";

const instance = "00000000000000aa";

function logOf(events: number, eventsMax: number, { nowMs = (): number => 0, afterSeq = 0 } = {}) {
  const log = new ResultsLog({ instance, eventsMax, nowMs, afterSeq });
  for (let i = 0; i < events; i++) {
    const outcome = create(OutcomeSchema, { groupIndex: i, proof: new Uint8Array(3) });
    log.append({
      sessionId: `s${i}`,
      nodeEpoch: 0n,
      fenceAtMs: 100,
      event: { kind: "outcome", outcome },
    });
  }
  return log;
}

test("a read from a cursor returns the events after it", () => {
  const log = logOf(3, 10);
  const { seq } = log.parseCursor(log.cursor(2));
  expect(log.readAfter(seq)).toMatchObject({ kind: "entry", entry: { seq: 3, sessionId: "s2" } });
  expect(log.readAfter(3)).toEqual({ kind: "end", seq: 3 });
});

test("a cursor that the log has moved past gets a gap naming what is missing, then the rest", () => {
  const log = logOf(5, 2);
  const gap = log.readAfter(1);
  expect(gap).toEqual({
    kind: "gap",
    cause: "trimmed",
    events: 2,
    sessionIds: ["s1", "s2"],
    resumeSeq: 3,
  });
  expect(log.readAfter(3)).toMatchObject({ entry: { seq: 4 } });
});

test("an outcome whose proof is erased at the fence says so; one without a proof does not", () => {
  let nowMs = 99;
  const log = logOf(1, 10, { nowMs: () => nowMs });
  const without = create(OutcomeSchema);
  const event = { kind: "outcome", outcome: without } as const;
  log.append({ sessionId: "s0", nodeEpoch: 0n, fenceAtMs: 100, event });
  const erased = () =>
    log
      .ofSession("s0")
      .map(({ event: each }) => each.kind === "outcome" && each.outcome.proofErased);
  expect(erased()).toEqual([false, false]);
  nowMs = 100;
  expect(erased()).toEqual([true, false]);
});

test("an empty cursor reads every retained event, without a gap", () => {
  const log = logOf(5, 2);
  const { seq } = log.parseCursor("");
  expect(log.readAfter(seq)).toMatchObject({ kind: "entry", entry: { seq: 4 } });
});

test("a cursor from before the first event gets every event or a gap", () => {
  const log = logOf(0, 2);
  const cursor = log.cursor(log.parseCursor("").seq);
  for (let count = 0; count < 3; count++) {
    const event = { kind: "outcome", outcome: create(OutcomeSchema) } as const;
    log.append({ sessionId: `s${count}`, nodeEpoch: 0n, fenceAtMs: 100, event });
  }
  const { seq } = log.parseCursor(cursor);
  expect(log.readAfter(seq)).toMatchObject({ kind: "gap", events: 1, sessionIds: ["s0"] });
});

test("a cursor of a forgotten log gets a gap first, unless every event had been read", () => {
  const forgotten = logOf(3, 10);
  const log = logOf(2, 10, { afterSeq: forgotten.lastSeq });
  const after = (cursor: string) => log.readAfter(log.parseCursor(cursor).seq);
  const gap = { kind: "gap", cause: "trimmed", events: 0, sessionIds: [], resumeSeq: 3 };
  expect(after(forgotten.cursor(2))).toEqual(gap);
  expect(after(forgotten.cursor(3))).toMatchObject({ entry: { seq: 4, sessionId: "s0" } });
  expect(after("")).toMatchObject({ entry: { seq: 4 } });
});

test("no proof is read at its fence or later, and events are dropped after the retention", () => {
  let nowMs = 99;
  const log = logOf(1, 10, { nowMs: () => nowMs });
  const proofBytes = () => {
    const read = log.readAfter(0);
    const events = [...log.ofSession("s0"), ...(read.kind === "entry" ? [read.entry] : [])];
    return events.map(({ event }) => (event.kind === "outcome" ? event.outcome.proof.length : NaN));
  };
  expect(proofBytes()).toEqual([3, 3]);
  nowMs = 100;
  expect(proofBytes()).toEqual([0, 0]);
  nowMs = 1100;
  log.expire(1000);
  expect(log.size).toBe(0);
});

test("a cursor of another instance is recognised; one ahead of the log or forged is refused", () => {
  const log = logOf(1, 10);
  const options = { eventsMax: 1, nowMs: () => 0, afterSeq: 0 };
  const other = new ResultsLog({ ...options, instance: "00000000000000bb" });
  expect(log.parseCursor(other.cursor(0))).toEqual({ seq: 0, isOtherInstance: true });
  expect(() => log.parseCursor(log.cursor(2))).toThrow(/ahead/);
  const encode = (plain: string) => Buffer.from(plain).toString("base64url");
  const other07 = encode("00000000000000bb:07");
  for (const forged of ["!!", ` ${log.cursor(1)}`, encode(`${instance}:01`), other07]) {
    expect(() => log.parseCursor(forged), forged).toThrow(/is not a cursor of this service/);
  }
});
