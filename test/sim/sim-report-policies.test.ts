/** What the schedule is compared with: baselines and optimum come to what was worked out by hand. */
import { expect, test } from "vitest";
import { firstCome, skipWhenBusy } from "../../tools/sim-report/policies/baselines.js";
import { gateway } from "../../tools/sim-report/policies/gateway.js";
import type { GroupSpec } from "../../tools/sim-report/scenario/group-spec.js";
import { optimum } from "../../tools/sim-report/policies/optimum.js";
import type { Run } from "../../tools/sim-report/measure/run.js";
import { EXIT_MS, Truth } from "../../tools/sim-report/scenario/truth.js";
import { exact, group, ONE_MS, scenario, snapshot } from "./tiny-scenario.js";

const endings = ({ asks }: Run) => asks.map(({ ending }) => ending);

test("first come, first served: in order of arrival, until the deadline, for nothing past the fence", () => {
  const many = [group("a", 1), group("b", 1), group("c", 1)];
  const { asks, proofs } = firstCome(scenario([snapshot(0, many), snapshot(10, [group("d", 1)])]));
  // a from 0, b from 840 under a deadline of 1000; c and d would start at 1680.
  expect(asks.map(({ ending, startedAtMs }) => [ending, startedAtMs])).toEqual([
    ["proved", 0],
    ["proved", ONE_MS],
    ["not_started deadline", undefined],
    ["not_started deadline", undefined],
  ]);
  expect(proofs.map(({ endedAtMs }) => endedAtMs)).toEqual([ONE_MS, 2 * ONE_MS]);
  const long = snapshot(0, [group("a", 0, 2)]);
  expect(endings(firstCome(scenario([long])))).toEqual(["after its fence"]);
});

test("first come, first served: a node's second snapshot waits for the end of its first", () => {
  const own = { node: "one" };
  const early = snapshot(0, [group("a", 1)], own);
  const during = snapshot(ONE_MS - 1, [group("b", 1)], own);
  const after = snapshot(ONE_MS, [group("c", 1)], own);
  const run = firstCome(scenario([early, during, after]));
  expect(endings(run)).toEqual(["proved", "skipped in_flight", "proved"]);
});

test("skip when busy: a lane keeps to its snapshot, and all others are skipped", () => {
  const first = snapshot(0, [group("a", 1), group("b", 1)]);
  const second = snapshot(10, [group("c", 1)]);
  const third = snapshot(20, [group("d", 1)]);
  const afterAll = snapshot(2 * ONE_MS, [group("e", 1)]);
  const run = skipWhenBusy(scenario([first, second, third, afterAll]));
  expect(endings(run)).toEqual(["proved", "proved", "skipped busy", "skipped busy", "proved"]);
  const two = skipWhenBusy(scenario([first, second, third], 2));
  expect(endings(two)).toEqual(["proved", "proved", "proved", "skipped busy"]);
});

test("the optimum takes the short before the long, and waits only when it may", () => {
  const long = snapshot(0, [group("long", 64)]);
  const short = snapshot(0, [group("short", 1)]);
  const known = scenario([long, short]);
  // Long takes 2140 of a fence of 2000 ms: only short. With a longer fence, short and then long.
  const one = { groups: 1, votes: 1, worth: 1 };
  expect(optimum([long, short], known, { mayWait: false })).toEqual(one);
  const roomy = [long, short].map((each) => snapshot(0, [...each.groups], { fenceMs: 4000 }));
  const both = { groups: 2, votes: 65, worth: 65 };
  expect(optimum(roomy, known, { mayWait: false })).toEqual(both);
  // Short comes 100 ms later: who must not wait starts long, which leaves short no time.
  const late = [long, short].map(({ groups }, at) =>
    snapshot(100 * at, [...groups], { fenceMs: 4000 }),
  );
  expect(optimum(late, known, { mayWait: true }).groups).toBe(2);
  expect(optimum(late, known, { mayWait: false })).toMatchObject({ groups: 1, votes: 64 });
});

test("the optimum keeps to the node's order", () => {
  const ordered = snapshot(0, [group("long", 64), group("short", 1)], { fenceMs: 4000 });
  const known = scenario([ordered]);
  expect(optimum([ordered], known, { mayWait: true })).toMatchObject({ groups: 1, votes: 64 });
  const two = { ...known, lanes: 2 };
  expect(optimum([ordered], two, { mayWait: true })).toMatchObject({ groups: 2, votes: 65 });
});

test("the optimum takes first what is worth more early", () => {
  const steps = [
    { untilAtMs: 900, weight: 4 },
    { untilAtMs: 4000, weight: 1 },
  ];
  const rest = { fenceMs: 4000, deadlineMs: 3000, steps };
  const one = snapshot(0, [group("one", 1)], rest);
  const four = snapshot(0, [group("four", 4)], rest);
  // The four take 850 ms and are in time for the first step; the one ends at the second.
  const best = optimum([one, four], scenario([one, four]), { mayWait: false });
  expect(best).toEqual({ groups: 2, votes: 5, worth: 4 * 4 + 1 });
});

test("a gateway takes nodes in turn, drops what waits too long and kills at the fence", () => {
  const budget = { deadlineMs: 3000, fenceMs: 4000 };
  const many = snapshot(0, [group("a", 1), group("b", 1)], { ...budget, node: "many" });
  const one = snapshot(1, [group("c", 1)], { ...budget, node: "one" });
  const { asks, proofs } = gateway(scenario([many, one]));
  expect(asks.map(({ ending }) => ending)).toEqual(["proved", "proved", "proved"]);
  // The other node's turn comes before the first node's second group.
  expect(proofs.map(({ content }) => content[0])).toEqual(["a", "c", "b"]);

  const slow = { ...scenario([snapshot(0, [group("s", 1)])]), truth: new SlowTruth() };
  const killed = gateway(slow);
  expect(endings(killed)).toEqual(["after its fence"]);
  expect(killed.proofs).toMatchObject([{ end: "fence", endedAtMs: 2000 + EXIT_MS }]);
});

test("a gateway admits only what it predicts to be in time", () => {
  const large = snapshot(0, [group("large", 96)]);
  expect(endings(gateway(scenario([large])))).toEqual(["skipped predicted_miss"]);
  const waits = [0, 1].map((at) => snapshot(at, [group(`${at}`, 1)], { fenceMs: 1500 }));
  const run = gateway(scenario(waits));
  expect(endings(run)).toEqual(["proved", "skipped predicted_miss"]);
});

/** As fast as measured when it is timed, and far slower afterwards. */
class SlowTruth extends Truth {
  constructor() {
    super(exact);
  }

  override wholeMs(lane: number, of: GroupSpec): number {
    return of.root === "s" ? 9000 : super.wholeMs(lane, of);
  }
}
