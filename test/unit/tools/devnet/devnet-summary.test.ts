/** Which votes of a run are counted, and which code made it. */
import { expect, test } from "vitest";
import { received, run, voted } from "./devnet-records.js";

test("votes whose fence is behind the run's end are not counted, nor is their slot", () => {
  const summary = run("remote", 3);
  const { votes, published, unrepresented, withoutAggregate } = summary;
  const last = run("remote", 3, [voted(6, 0), voted(6, 1), received(6, [0], 24_000 + 2000)]);
  expect(last).toMatchObject({ votes, published, unrepresented, withoutAggregate });
  const counted = run("remote", 3, [voted(5, 2)]);
  expect(counted.votes.outside).toBe(votes.outside + 1);
  expect(counted.unrepresented.outside).toBe(unrepresented.outside + 1);
});
