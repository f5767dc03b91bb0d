/** The results log: bounded, resumable, and without proofs past their fence. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { OutcomeSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { LogEntry } from "../../server/session/results-log.js";
import { ResultsLog } from "../../server/session/results-log.js";

const instance = "00000000000000aa";

function logOf(events: number, eventsMax: number) {
  const log = new ResultsLog({ instance, eventsMax });
  for (let i = 0; i < events; i++) {
    const outcome = create(OutcomeSchema, { groupIndex: i, proof: new Uint8Array(3) });
    log.append({ sessionId: `s${i}`, fenceAtMs: 100, event: { kind: "outcome", outcome } });
  }
  return log;
}

test("reading from a cursor gives what follows it", () => {
  const log = logOf(3, 10);
  const { seq } = log.parseCursor(log.cursor(2));
  expect(log.readAfter(seq, 0)).toMatchObject({
    kind: "entry",
    entry: { seq: 3, sessionId: "s2" },
  });
  expect(log.readAfter(3, 0)).toEqual({ kind: "end", seq: 3 });
});

test("a cursor that the log has moved past gets a gap naming what is missing, then the rest", () => {
  const log = logOf(5, 2);
  const gap = log.readAfter(1, 0);
  expect(gap).toEqual({
    kind: "gap",
    cause: "trimmed",
    events: 2,
    sessionIds: ["s1", "s2"],
    resumeSeq: 3,
  });
  expect(log.readAfter(3, 0)).toMatchObject({ entry: { seq: 4 } });
});

test("no cursor means all that is retained, without a gap", () => {
  expect(logOf(5, 2).readAfter(0, 0)).toMatchObject({ kind: "entry", entry: { seq: 4 } });
});

test("proofs are erased at the fence and events dropped after the retention", () => {
  const log = logOf(1, 10);
  const proofBytes = () => {
    const { event } = log.outcomesOf("s0", 0)[0] ?? {};
    return event?.kind === "outcome" ? event.outcome.proof.length : undefined;
  };
  log.expire(99, 1000);
  expect(proofBytes()).toBe(3);
  log.expire(100, 1000);
  expect(proofBytes()).toBe(0);
  log.expire(1100, 1000);
  expect(log.size).toBe(0);
});

test("no reader gets a proof past its fence, whether or not the log has been expired", () => {
  const read = logOf(1, 10).readAfter(0, 100);
  const proofOf = (entry: LogEntry | undefined) =>
    entry?.event.kind === "outcome" ? entry.event.outcome.proof.length : undefined;
  expect(proofOf(read.kind === "entry" ? read.entry : undefined)).toBe(0);
  expect(proofOf(logOf(1, 10).outcomesOf("s0", 100)[0])).toBe(0);
  expect(proofOf(logOf(1, 10).outcomesOf("s0", 99)[0])).toBe(3);
});

test("a cursor of another instance is recognised; one ahead of the log or forged is refused", () => {
  const log = logOf(1, 10);
  const other = new ResultsLog({ instance: "00000000000000bb", eventsMax: 1 });
  expect(log.parseCursor(other.cursor(0))).toEqual({ seq: 0, isOtherInstance: true });
  expect(() => log.parseCursor(log.cursor(2))).toThrow(/ahead/);
  expect(() => log.parseCursor("!!")).toThrow(/cursor/);
});
