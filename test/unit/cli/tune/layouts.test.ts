/** How tune divides cores, orders them by what they share, chooses, and writes devices. */
import { expect, test } from "vitest";
import { devicesOf } from "../../../../cli/tune/devices.js";
import { bestFor } from "../../../../cli/tune/goal.js";
import { layoutOf, layoutsOf, nameOf, parseLayouts } from "../../../../cli/tune/layouts.js";
import type { LayoutFigures } from "../../../../cli/tune/measure.js";
import { TimeLeft } from "../../../../cli/tune/time-left.js";
import { coreList, coreNumbers, inOrder, readTopology } from "../../../../cli/tune/topology.js";
import { parseConfig } from "../../../../server/config/config.js";
import { deviceSchema } from "../../../../server/prover/device/device.js";

const range = (count: number) => Array.from({ length: count }, (_, at) => at);
const names = (cores: number, processors = 1) => layoutsOf(range(cores), processors).map(nameOf);

test.each([
  [1, ["1 x 1"]],
  [2, ["1 x 2", "2 x 1"]],
  [6, ["1 x 6", "2 x 3", "3 x 2", "6 x 1"]],
  [7, ["1 x 7", "2 x 3", "7 x 1"]],
  [16, ["1 x 16", "2 x 8", "4 x 4", "8 x 2", "16 x 1"]],
])("%i cores are divided evenly, or nearly so", (cores, expected) => {
  expect(names(cores)).toEqual(expected);
});

test("where two processors share a core, a layout is tried with half the threads too", () => {
  expect(names(4, 2)).toEqual(["1 x 4", "1 x 4/2", "2 x 2", "2 x 2/1", "4 x 1"]);
});

test("each core belongs to one lane at most", () => {
  for (const cores of range(40).slice(1)) {
    for (const layout of layoutsOf(range(cores), 1)) {
      const used = layout.cores.flat();
      expect(new Set(used).size).toBe(used.length);
    }
  }
});

test("a list of layouts is read as it is named", () => {
  expect(parseLayouts("1x4, 2 x 2,1x4/2", range(4))?.map(nameOf)).toEqual([
    "1 x 4",
    "2 x 2",
    "1 x 4/2",
  ]);
  for (const wrong of ["", "4", "2x3", "0x1", "1x0", "17x1", "1x1,"]) {
    expect(parseLayouts(wrong, range(4))).toBeUndefined();
  }
});

test("processors of one physical core are neighbours", () => {
  // 0 and 2 are one core, 1 and 3 the other, as on many machines with SMT.
  const files = new Map(
    range(4).flatMap((cpu) => [
      [`cpu${cpu}/topology/core_id`, `${cpu % 2}`],
      [`cpu${cpu}/topology/thread_siblings_list`, cpu % 2 === 0 ? "0,2" : "1,3"],
    ]),
  );
  const read = (path: string) => files.get(path.replace("/sys/devices/system/cpu/", "")) ?? "";
  expect(inOrder(range(4), read)).toEqual({ cores: [0, 2, 1, 3], processorsPerCore: 2 });
  expect(inOrder([0, 1], read)).toEqual({ cores: [0, 1], processorsPerCore: 1 });
});

test("without files of Linux, processors are numbered from 0", () => {
  expect(readTopology(2, () => "")).toEqual({ cores: [0, 1], processorsPerCore: 1 });
});

test("a process that may use some processors divides those", () => {
  const read = (path: string) =>
    path === "/proc/self/status" ? "Cpus_allowed_list:\t2-3,6\n" : "";
  expect(readTopology(8, read).cores).toEqual([2, 3, 6]);
});

test("lists of cores are written and read alike", () => {
  expect(coreList([6, 0, 1, 2])).toBe("0-2,6");
  expect(coreNumbers("0-2,6")).toEqual([0, 1, 2, 6]);
});

function figures(lanes: number, tookMs: number, problem?: string): LayoutFigures {
  const layout = layoutOf(range(16), lanes, 16 / lanes, 0);
  const shape = { raws: 32, children: 0 };
  const proofsPerSecond = (1000 * lanes) / tookMs;
  return {
    layout,
    shapes: [{ shape, tookMs: [tookMs], proofsPerSecond }],
    proverBytes: 0,
    setupBytes: 0,
    problem,
  };
}

/** As measured on 16 cores: 3.3, 6.8 and 6.9 proofs a second. */
const measured = [figures(1, 303), figures(4, 588), figures(8, 1160)];

test.each([
  ["latency", "1 x 16"],
  ["throughput", "8 x 2"],
  ["balanced", "4 x 4"],
] as const)("the best layout for %s is %s", (goal, expected) => {
  const best = bestFor(goal, measured);
  expect(best && nameOf(best.layout)).toBe(expected);
});

test("a layout that was not measured whole is not chosen", () => {
  expect(bestFor("latency", [figures(1, 100, "a prover died")])).toBeUndefined();
});

const base = deviceSchema.parse({
  id: "cpu0",
  cores: "0-7",
  nice: 5,
  env: { A: "b" },
  user: "7:8",
  backend: { library: "/l.so", config: "c=d" },
});

test("devices have what the first device has, and are taken by serve as they are", () => {
  const devices = devicesOf(layoutOf([0, 4, 1, 5], 2, 2, 1), base);
  const common = { nice: 5, threads: 1, env: { A: "b" }, user: "7:8" };
  const backend = { library: "/l.so", config: "c=d" };
  expect(devices).toEqual([
    { id: "cpu0", cores: "0,4", ...common, backend },
    { id: "cpu1", cores: "1,5", ...common, backend },
  ]);
  const config = parseConfig({ devices: JSON.stringify(devices) });
  expect(config.devices.map(({ cores }) => cores)).toEqual([
    [0, 4],
    [1, 5],
  ]);
  expect(parseConfig({ devices })).toEqual(config);
});

test("one lane keeps the device's name, and with it what was learned of it", () => {
  const plain = deviceSchema.parse({ id: "cpu" });
  expect(devicesOf(layoutOf([0, 1], 1, 2, 0), plain)).toEqual([{ id: "cpu", cores: "0-1" }]);
});

test("devices have the prover that was measured", () => {
  const other = deviceSchema.parse({ id: "cpu", prover: "lean_multisig" });
  const devices = devicesOf(layoutOf([0, 1], 2, 1, 0), other);
  expect(parseConfig({ devices }).devices.map(({ prover }) => prover)).toEqual([
    "lean_multisig",
    "lean_multisig",
  ]);
});

test("names of sixteen lanes stay in the length of a name", () => {
  const long = deviceSchema.parse({ id: "a".repeat(32) });
  const devices = devicesOf(layoutOf(range(16), 16, 1, 0), long);
  expect(parseConfig({ devices }).devices).toHaveLength(16);
});

test("the time left follows what the steps done have taken, and never passes the limit", () => {
  const time = new TimeLeft({ layouts: 2, shapes: 1, spanMs: 5000 });
  expect(time.leftMs(0, 1e9)).toBe(24_000);
  time.stepDone();
  time.stepDone();
  expect(time.leftMs(24_000, 1e9)).toBe(24_000);
  expect(time.leftMs(24_000, 25_000)).toBe(1000);
  time.leaveOut(2);
  expect(time.leftMs(24_000, 1e9)).toBe(0);
});
