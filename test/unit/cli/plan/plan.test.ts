/** The planning function, its sources of costs, and the command `plan`. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Network } from "../../../../cli/plan/network.js";
import { stepsOf } from "../../../../cli/plan/network.js";
import type { LaneKind } from "../../../../cli/plan/plan.js";
import { planOf } from "../../../../cli/plan/plan.js";
import {
  fileCosts,
  ownCosts,
  serviceCosts,
  stateCosts,
  tableCosts,
} from "../../../../cli/plan/sources.js";
import { DeviceSchema } from "../../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { costFilePath } from "../../../../server/lane/costs/cost-file.js";
import { bytesForStandby, proverCeilingBytes } from "../../../../server/prover/device/device.js";
import { learnedCosts } from "../../../../server/rpc/messages/learned-costs-view.js";
import type { CostModel } from "../../../../server/work/costs/cost-model.js";
import { durationOf, freshCostModel } from "../../../../server/work/costs/cost-model.js";
import type { Costs as ServiceCosts } from "../../../../server/work/costs/costs.js";
import type { MemoryModel } from "../../../../server/work/costs/memory-model.js";
import { peakBytes } from "../../../../server/work/costs/memory-model.js";
import { commandInProcess } from "../../../helpers/command-line.js";
import { temporaryFolder } from "../../../helpers/temporary-folder.js";

const folder = temporaryFolder();
const network: Network = {
  ...{ validators: 64, subnets: 4, aggregators: 1, slotMs: 8000, intervals: 5 },
  ...{ children: 0, deadlineMs: 750 },
};
/** Proofs of exactly so many milliseconds, whatever they contain. */
function constant(ms: number): LaneKind {
  const [tiny, none] = [Math.log(1e-5), freshCostModel.covariance.map((row) => row.map(() => 0))];
  const costs = { logMs: [Math.log(ms), tiny, tiny, tiny, tiny], covariance: none };
  const scatter = 1e-6;
  return { name: "k", cores: 2, costs: { ...costs, scatter, atMs: 0 }, proverBytesOf: () => 0.7e9 };
}

test("the steps are the next two intervals and slot N+2, with five and with four intervals", () => {
  const times = (intervals: number, slotMs: number) =>
    stepsOf({ ...network, intervals, slotMs }).map(({ untilMs }) => untilMs);
  expect(times(5, 4000)).toEqual([800, 1600, 6400]);
  expect(times(4, 6000)).toEqual([1500, 3000, 10_500]);
});

test("a lane proves one group after the other, and none after the deadline", () => {
  // Ready after 540 and 1060; a third would begin at 1060, and the deadline is at 750.
  const [one, two, four] = planOf(network, constant(500), [4, 1, 2]);
  expect(one).toMatchObject({ lanes: 1, cores: 2, memoryBytes: 1.5e9, readyBy: [0.5, 0.5, 0.5] });
  expect(two).toMatchObject({ lanes: 2, readyBy: [1, 1, 1] });
  expect(four).toMatchObject({ lanes: 4, cores: 8, memoryBytes: 4.5e9, readyBy: [1, 1, 1] });
  // Half a second on two cores for each 16 votes.
  expect(two?.coreSecondsPer1000).toBeCloseTo(62.5, 0);
  expect(one?.busy).toBeCloseTo(1000 / 8000, 2);
});

test("what is ready after an interval counts for the next one", () => {
  const [row] = planOf(network, constant(2000), [4]);
  expect(row?.readyBy).toEqual([0, 1, 1]);
});

test("without any vote in time, a vote's cost is infinite", () => {
  const [row] = planOf({ ...network, slotMs: 400 }, constant(5000), [4]);
  expect(row).toMatchObject({ readyBy: [0, 0, 0], coreSecondsPer1000: Infinity });
});

test("more lanes never lower a share, and a share is between 0 and 1", () => {
  const networks = fc.record({
    validators: fc.integer({ min: 1, max: 400 }),
    subnets: fc.integer({ min: 1, max: 6 }),
    aggregators: fc.integer({ min: 1, max: 2 }),
    slotMs: fc.integer({ min: 500, max: 20_000 }),
    intervals: fc.integer({ min: 3, max: 6 }),
    children: fc.integer({ min: 0, max: 2 }),
    deadlineMs: fc.integer({ min: 50, max: 6000 }),
  });
  const [kind] = tableCosts(2).kinds;
  if (kind === undefined) throw new Error("the table has a kind");
  fc.assert(
    fc.property(
      networks,
      fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 2, maxLength: 4 }),
      (drawn, lanes) => {
        const rows = planOf(
          { ...drawn, subnets: Math.min(drawn.subnets, drawn.validators) },
          kind,
          lanes,
        );
        for (const [at, { readyBy, busy }] of rows.entries()) {
          const [first, second, fence] = readyBy;
          const before = rows[at - 1]?.readyBy ?? [0, 0, 0];
          expect(first).toBeLessThanOrEqual(second + 1e-9);
          expect(second).toBeLessThanOrEqual(fence + 1e-9);
          expect(fence).toBeLessThanOrEqual(1 + 1e-9);
          expect(busy).toBeLessThanOrEqual(1);
          readyBy.forEach((share, step) => expect(share).toBeGreaterThanOrEqual(before[step] ?? 0));
        }
      },
    ),
    { numRuns: 25 },
  );
});

test("memory is that of the model of the lanes, and of a standby", () => {
  const [kind] = tableCosts(2).kinds;
  const shape = { raws: 512, children: 0 };
  expect(kind?.proverBytesOf(shape)).toBe(peakBytes([], shape));
});

/** A backend that takes a quarter of what the table says for so many raw signatures. */
const [LIGHT, LIGHT_BYTES] = [{ raws: 128, children: 0 }, 0.4e9];

test("of a service and of a state folder, memory is what their proofs took", () => {
  const memory = [{ shape: LIGHT, bytes: LIGHT_BYTES }];
  const costs = [foldsAt(0, modelOf(2, 0.1))];
  const [served] = serviceCosts([deviceOf("a", costs, memory)], 2).kinds;
  expect(served?.proverBytesOf(LIGHT)).toBe(LIGHT_BYTES);

  const { logMs, covariance, scatter } = freshCostModel;
  const system = { proofSystem: "a b", logInvRate: 2 };
  const entry = { ...system, kind: "fold", atUnixMs: 1, logMs, covariance, scatter };
  const peaks = [
    { ...system, ...LIGHT, bytes: LIGHT_BYTES },
    { ...system, ...LIGHT, proofSystem: "other", bytes: 9e9 },
  ];
  const file = join(folder, "learned.json");
  writeFileSync(file, JSON.stringify({ format: 4, costs: [entry], memory: peaks }));
  const [learned] = fileCosts(file, 2).kinds;
  expect(learned?.proverBytesOf(LIGHT)).toBe(LIGHT_BYTES);
});

test("of a file of tune, memory is what its provers and their standbys held", () => {
  const shapes = [{ raws: 128, children: 0, proofsPerSecond: 1, tookMs: [900] }];
  const layout = { lanes: 2, coresEach: 1, threads: 0, proverBytes: LIGHT_BYTES, shapes };
  const host = { processor: "p", cores: 2, memoryBytes: 8e9 };
  const measuredBy = "lean-aggregator tune";
  const [kind, earlier] = [{ setupBytes: 0.1e9 }, {}].map((setup) => {
    const file = join(folder, "tune.json");
    const layouts = [{ ...layout, ...setup }];
    writeFileSync(file, JSON.stringify({ measuredBy, fake: false, at: "now", ...host, layouts }));
    return fileCosts(file, undefined).kinds[0];
  });
  if (kind === undefined || earlier === undefined) throw new Error("a file of tune has a kind");
  expect(kind.proverBytesOf(LIGHT)).toBe(LIGHT_BYTES);
  expect(kind.proverBytesOf({ raws: 200, children: 0 })).toBeLessThan(2 * LIGHT_BYTES + 0.1e9);
  const gigabytes = (of: LaneKind) => {
    const fixed = { ...of, proverBytesOf: () => LIGHT_BYTES };
    return (planOf(network, fixed, [4])[0]?.memoryBytes ?? 0) / 1e9;
  };
  expect(gigabytes(kind)).toBeCloseTo(0.5 + 4 * (0.4 + 0.1), 6);
  expect(gigabytes(earlier)).toBeCloseTo(0.5 + 4 * (0.4 + 0.3), 6);
});

test("with the memory and the setting of a row, the service starts the largest proof", () => {
  let most = 0;
  const [kind] = tableCosts(2).kinds;
  if (kind === undefined) throw new Error("the table has a kind");
  const noting: LaneKind = {
    ...kind,
    proverBytesOf: (shape) => (most = kind.proverBytesOf(shape)),
  };
  for (const validators of [16, 800, 2000]) {
    for (const children of [0, 4, 8]) {
      for (const lanes of [1, 3, 8]) {
        const large = { ...network, validators, children, slotMs: 60_000 };
        const [row] = planOf(large, noting, [lanes]);
        if (row === undefined) throw new Error("each number of lanes has a row");
        const { memoryBytes, proverMemoryMb } = row;
        const configured = proverMemoryMb === undefined ? undefined : proverMemoryMb * 1e6;
        expect(proverCeilingBytes(memoryBytes, lanes, configured)).toBeGreaterThanOrEqual(most);
        // All of it fits, with a standby beside each prover.
        const ceiling = proverCeilingBytes(memoryBytes, lanes, most);
        expect(bytesForStandby(memoryBytes, lanes, ceiling)).toBeGreaterThanOrEqual(0.3e9);
        // The setting is only named where it is needed.
        const isEnough = proverCeilingBytes(memoryBytes, lanes) >= most;
        expect(proverMemoryMb === undefined).toBe(isEnough);
      }
    }
  }
});

test("the answer names the memory of a prover where the default is too little", async () => {
  const ran = await plan(
    ..."--validators 32 --children 8 --slot-ms 200000 --costs".split(" "),
    costFilePath(writtenState(), "cpu"),
  );
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  expect(ran.stdout).toMatch(/1 lane, 2 cores, \d\.\d GB with --prover-memory-mb 5\d\d\d: /);
});

const folds = [
  [1, 0],
  [32, 0],
  [128, 0],
  [1, 1],
  [32, 2],
] as const;

/** What a service shows of a device with these models. */
function deviceOf(id: string, costs: ServiceCosts, memory: MemoryModel = []) {
  return create(DeviceSchema, { id, learnedCosts: learnedCosts({ costs, memory }, folds) });
}

/** A model of a device that takes this multiple of the table's times, with this scatter. */
function modelOf(slowness: number, scatter: number): CostModel {
  const covariance = freshCostModel.covariance.map((row) => row.map(() => 0));
  const logMs = freshCostModel.logMs.map((log) => log + Math.log(slowness));
  return { logMs, covariance, scatter: scatter ** 2, atMs: 0 };
}

const foldsAt = (logInvRate: number, model: CostModel) =>
  ({ kind: "fold", logInvRate, model }) as const;

test("the costs of a service are those that it shows, of the lowest rate, with their scatter", () => {
  const device = deviceOf("gpu", [
    foldsAt(1, modelOf(0.5, 0.166)),
    foldsAt(3, modelOf(2, 0.3)),
    // What merges cost says nothing of folds.
    { kind: "merge", logInvRate: 1, model: modelOf(9, 0.1) },
  ]);
  const { kinds, notes } = serviceCosts([device], 4);
  const [kind] = kinds;
  const costs = kind?.costs ?? freshCostModel;
  expect(kind).toMatchObject({ name: "gpu", cores: 4 });
  expect(notes[0]).toContain("of device gpu, at the rate 1");
  for (const [raws, children] of folds) {
    const shape = { raws, children };
    const learned = durationOf(modelOf(0.5, 0.166), shape);
    const { medianMs, deviation } = durationOf(costs, shape);
    expect(medianMs / learned.medianMs).toBeGreaterThan(0.9);
    expect(medianMs / learned.medianMs).toBeLessThan(1.1);
    expect(deviation).toBeGreaterThan(0.15);
    expect(deviation).toBeLessThan(0.18);
  }
});

test("costs that the service itself holds for uncertain are marked", () => {
  const notesOf = (scatter: number) =>
    serviceCosts([deviceOf("a", [foldsAt(0, modelOf(2, scatter))])], 2).notes.join("\n");
  expect(notesOf(0.7)).toContain("these costs are uncertain");
  expect(notesOf(0.3)).not.toContain("uncertain");
});

test("a device that has learned nothing is left out, and a service of such devices is refused", () => {
  const fresh = deviceOf("a", []);
  const merged = deviceOf("b", [{ kind: "merge", logInvRate: 0, model: modelOf(2, 0.1) }]);
  const learned = deviceOf("c", [foldsAt(0, modelOf(2, 0.1))]);
  expect(serviceCosts([fresh, merged, learned], 2).kinds).toMatchObject([{ name: "c" }]);
  expect(() => serviceCosts([fresh, merged], 2)).toThrow("has learned no costs yet");
});

const plan = (...flags: string[]) => commandInProcess(["plan", ...flags]);

test("it prints a row for each number of lanes, where the costs are from, and an answer", async () => {
  const ran = await plan(
    ..."--validators 32 --slot-ms 8000 --state-dir".split(" "),
    writtenState(),
  );
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  expect(ran.stdout).toContain("costs: as learned in ");
  expect(ran.stdout).toContain("each lane is taken to have 2 cores: say --lane-cores");
  expect(ran.stdout).toMatch(/1 lane, 2 cores, \d\.\d GB: \d+\.\d % of the votes by interval 3/);
});

function writtenState(): string {
  const state = join(folder, "state");
  mkdirSync(state, { recursive: true });
  const { logMs, covariance, scatter } = freshCostModel;
  const small = covariance.map((row) => row.map((value) => value / 100));
  const entry = { proofSystem: "a b", kind: "aggregate", logInvRate: 0, atUnixMs: 1, logMs };
  const content = { format: 3, costs: [{ ...entry, covariance: small, scatter }] };
  writeFileSync(costFilePath(state, "cpu"), JSON.stringify(content));
  expect(stateCosts(state, undefined).kinds).toMatchObject([{ name: "learned", cores: 2 }]);
  return state;
}

test("with --json the rows and the answer are data", async () => {
  const file = costFilePath(writtenState(), "cpu");
  const ran = await plan("--validators", "32", "--slot-ms", "60000", "--costs", file, "--json");
  expect(JSON.parse(ran.stdout)).toMatchObject({
    network: { validators: 32, subnets: 1 },
    rows: [{ lanes: 1 }],
    answer: { lanes: 1, cores: 2 },
  });
});

test.each([
  [[], "--validators"],
  [["--validators", "0"], "--validators"],
  [["--validators", "4", "--subnets", "5"], "--subnets 5 is above --validators 4"],
  [["--validators", "4000", "--subnets", "200", "--aggregators", "20"], "--aggregators 20"],
  [["--validators", "4", "--goal", "soon"], "--goal"],
  [["--validators", "4", "--costs", "/nowhere"], "--costs /nowhere cannot be read"],
  [["--validators", "4", "--state-dir", "/nowhere"], "--state-dir /nowhere cannot be read"],
  [["--validators", "4", "--state-dir", "/etc/passwd"], "--state-dir /etc/passwd cannot be read"],
  [["--validators", "4", "--state-dir", folder], `--state-dir ${folder} has no learned costs`],
  [["--validators", "4", "--slot-ms", "x"], "--slot-ms"],
])("%j is refused with exit code 2 under its name", async (flags, text) => {
  const ran = await plan(...flags);
  expect(ran).toMatchObject({ code: 2, stdout: "" });
  expect(ran.stderr).toContain(text);
});

test("the own state folder is skipped, with a note, where its costs cannot be read", () => {
  expect(ownCosts(undefined, 2).notes).toEqual(tableCosts(2).notes);
  expect(ownCosts(join(folder, "none"), 2).notes).toEqual(tableCosts(2).notes);
  const own = join(folder, "own");
  mkdirSync(own);
  writeFileSync(costFilePath(own, "cpu"), '{"format": 99}');
  const { kinds, notes } = ownCosts(own, 2);
  expect(kinds).toMatchObject([{ name: "table" }]);
  expect(notes.at(-1)).toMatch(/^nothing is taken from here: .*own.*of --state-dir /);
  expect(() => stateCosts(own, 2)).toThrow(/^.*cpu\.costs\.json of --state-dir /);
});

test("a file of neither kind is refused with what is wrong", async () => {
  const file = join(folder, "wrong.json");
  writeFileSync(file, '{"shape": 9}');
  const ran = await plan("--validators", "4", "--costs", file);
  expect(ran).toMatchObject({ code: 2 });
  expect(ran.stderr).toContain(`--costs ${file} is invalid at `);
});
