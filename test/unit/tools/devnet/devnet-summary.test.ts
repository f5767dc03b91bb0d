/** Which votes of a run are counted, and which code made it. */
import { expect, test } from "vitest";
import { markdown } from "../../../../tools/devnet/report/markdown.js";
import { partsOf } from "../../../../tools/devnet/report/write-report.js";
import { header, received, run, voted } from "./devnet-records.js";

test("votes whose fence is behind the run's end are not counted, nor is their slot", () => {
  const summary = run("remote", 3);
  const { votes, published, unrepresented, withoutAggregate } = summary;
  const last = run("remote", 3, [voted(6, 0), voted(6, 1), received(6, [0], 24_000 + 2000)]);
  expect(last).toMatchObject({ votes, published, unrepresented, withoutAggregate });
  const counted = run("remote", 3, [voted(5, 2)]);
  expect(counted.votes.outside).toBe(votes.outside + 1);
  expect(counted.unrepresented.outside).toBe(unrepresented.outside + 1);
});

test("each run's revision is shown where they differ", () => {
  const of = (seed: number, revision: string) => {
    return { header: { ...header("worker"), seed, revision }, records: [voted(1, 0)] };
  };
  const text = (...revisions: string[]) =>
    markdown(partsOf(revisions.map((revision, at) => of(at + 1, revision))), "make devnet-all");
  expect(text("a1", "b2", "a1")).toContain(
    "several revisions of the code:\n\n- `a1`: test-worker-5-1, test-worker-5-3\n- `b2`: test-worker-5-2",
  );
  expect(text("a1", "a1")).not.toContain("revision");
});
