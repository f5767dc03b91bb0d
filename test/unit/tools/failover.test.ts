/** What the adapters' bench counts: skipped submissions, and what became of the votes around a fault. */
import { expect, it } from "vitest";
import { countFailover, faultsOf } from "../../../tools/bench/adapters/failover.js";
import { faultsOfTicks } from "../../../tools/bench/adapters/tick-lines.js";

it("times submissions, and no skips", () => {
  const line = { bytes: 20_000, count: 50, skipped: 0, p50Ms: 0.1, p99Ms: 0.2 };
  expect(faultsOfTicks([line, line])).toEqual([]);
  expect(faultsOfTicks([line, { ...line, skipped: 3 }])).toEqual([
    "3 of 50 submissions of 20000 bytes were skipped",
  ]);
});

it("counts groups, and the time until another service proves", () => {
  const lines = [
    { kind: "submitted", atMs: 0 },
    { kind: "proved", endpoint: "a", atMs: 100 },
    { kind: "submitted", atMs: 250 },
    { kind: "skipped", atMs: 500 },
    { kind: "proved", endpoint: "a", atMs: 600 },
    { kind: "submitted", atMs: 750 },
    { kind: "lost", endpoint: "", atMs: 800 },
    { kind: "proved", endpoint: "b", atMs: 900 },
  ];
  const counted = countFailover(lines, "a", 550);
  expect(counted).toEqual({ submitted: 3, proved: 3, skipped: 1, takeoverMs: 350 });
});

it("has no takeover when only the faulty service has proved", () => {
  const lines = [
    { kind: "proved", endpoint: "b", atMs: 10 },
    { kind: "proved", endpoint: "a", atMs: 90 },
  ];
  expect(countFailover(lines, "a", 50).takeoverMs).toBeUndefined();
});

it("is a fault when it did not happen, also where nothing was lost", () => {
  const good = { submitted: 9, proved: 9, skipped: 0, takeoverMs: 300 };
  expect(faultsOf(good)).toEqual([]);
  expect(faultsOf({ ...good, proved: 7 })).toEqual(["2 groups were lost"]);
  const none = { submitted: 0, proved: 0, skipped: 32, takeoverMs: undefined };
  expect(faultsOf(none)).toEqual(["nothing was submitted", "the other service proved nothing"]);
});
