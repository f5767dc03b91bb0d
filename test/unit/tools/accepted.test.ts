/** The counting of `make accepted`: what counts, what stands apart, and how sure a share is. */
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import {
  OutcomeReason,
  OutcomeSchema,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { indicesToBits } from "../../../proto/bitlist.js";
import { parseOptions } from "../../../tools/bench/accepted/options.js";
import { count, noCounts, rowOf, shares, wilson } from "../../../tools/bench/accepted/tally.js";

const group = { votes: 4, fenceMs: 6400 };
const proved = (validators: number[]) =>
  create(OutcomeSchema, {
    status: OutcomeStatus.PROVED,
    proof: new Uint8Array(1),
    participants: indicesToBits(validators),
  });
const ended = (status: OutcomeStatus, reason: OutcomeReason) =>
  create(OutcomeSchema, { status, reason });

test("a part counts its own votes, a proof at the fence counts none, a cancelled group stands apart", () => {
  const counts = noCounts();
  count(counts, { outcome: proved([0, 1, 2, 3]), resultMs: 800 }, group);
  count(counts, { outcome: proved([0]), resultMs: 6399 }, group);
  count(counts, { outcome: proved([0, 1, 2, 3]), resultMs: 6400 }, group);
  const missed = ended(OutcomeStatus.NOT_STARTED, OutcomeReason.DEADLINE);
  count(counts, { outcome: missed, resultMs: 900 }, group);
  const cancelled = ended(OutcomeStatus.STOPPED, OutcomeReason.CANCELLED);
  count(counts, { outcome: cancelled, resultMs: 10 }, group);
  expect(counts).toMatchObject({ groups: 4, votes: 16, cancelled: 1 });
  expect(shares(counts)).toEqual({ groups: 0.5, votes: 5 / 16 });
  expect(rowOf(0.5, counts)).toMatchObject({ accepted: 4, "cancelled apart": 1 });
});

test("Wilson's interval is that of the tables, and never leaves 0 to 1", () => {
  const [low, high] = wilson(0.5, 100);
  expect([low.toFixed(3), high.toFixed(3)]).toEqual(["0.404", "0.596"]);
  expect(wilson(1, 5000)[0]).toBeGreaterThan(0.999);
  expect(wilson(1, 10)[1]).toBe(1);
  expect(wilson(NaN, 0)).toEqual([0, 1]);
});

test.each([
  [["--groups", "0"], "--groups is 0"],
  [["--loads", "0.5,x"], "--loads is x"],
  [["--raws", "2.5"], "--raws is 2.5: expected a whole number"],
  [["--minutes", ""], "--minutes is "],
])("%j is refused by its name", (args, text) => {
  expect(() => parseOptions(args)).toThrow(text);
});
