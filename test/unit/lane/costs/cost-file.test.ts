/** What devices have learned is kept across restarts, and nobody else's file is taken for it. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { beforeEach, describe, expect, test } from "vitest";
import type { Learned } from "../../../../server/lane/costs/cost-file.js";
import { CostFiles, costFilePath } from "../../../../server/lane/costs/cost-file.js";
import { freshCostModel, learn, predictMs } from "../../../../server/work/costs/cost-model.js";
import { modelOf, withModel } from "../../../../server/work/costs/costs.js";
import { VirtualClock } from "../../../../tools/sim/virtual-clock.js";
import { temporaryFolder } from "../../../helpers/temporary-folder.js";

const SYSTEM = "scheme revision-1";
const UID = process.getuid?.();

let folder: string;
let path: string;
let clock: VirtualClock;
let logged: string[];
let messages: string[];

beforeEach(() => {
  folder = temporaryFolder();
  path = costFilePath(folder, "cpu");
  clock = new VirtualClock();
  logged = [];
  messages = [];
});

function costFiles(uid = UID): CostFiles {
  const write = (line: string) => {
    const { msg, cause } = JSON.parse(line) as { msg: string; cause?: string };
    messages.push(msg);
    if (cause !== undefined) logged.push(`${msg}: ${cause}`);
  };
  return new CostFiles({ folder, uid }, { clock, log: pino({}, { write }) });
}

const wait = (ms: number) => clock.runUntil(clock.nowMs() + ms, () => undefined);
const model = (tookMs: number) =>
  learn(freshCostModel, { raws: 1, children: 0 }, tookMs, clock.nowMs());
const learned = (tookMs: number): Learned => ({
  costs: [{ kind: "fold", logInvRate: 0, model: model(tookMs) }],
  memory: [{ shape: { raws: 1, children: 0, logInvRate: 0 }, bytes: 8e8 }],
});

/** The file of a service that has ended. */
async function saved(tookMs = 400): Promise<void> {
  const files = costFiles();
  files.save("cpu", SYSTEM, learned(tookMs));
  await files.close();
}

interface Entry {
  atUnixMs: number;
  kind: string;
  logInvRate: number;
}

const write = (content: object) => writeFileSync(path, JSON.stringify(content));

/** The only entry of the file. */
function entry(): Entry {
  const { costs } = JSON.parse(readFileSync(path, "utf8")) as { costs: Entry[] };
  const [only] = costs;
  if (only === undefined || costs.length > 1) throw new Error(`${costs.length} entries`);
  return only;
}

/** Writes the file with these fields of its only entry changed. */
function edit(fields: object): void {
  write({ format: 4, costs: [{ ...entry(), ...fields }] });
}

test("costs are kept for each kind and rate, and for other proof systems beside", async () => {
  const files = costFiles();
  const folds = withModel(withModel([], { logInvRate: 2 }, model(900)), {}, model(400));
  const all: Learned = {
    costs: withModel(folds, { messages: 2 }, model(1500)),
    memory: [
      { shape: { raws: 1, children: 2, messages: 3, logInvRate: 0 }, bytes: 2e9 },
      ...learned(1).memory,
    ],
  };
  files.save("cpu", SYSTEM, all);
  await files.close();
  const next = costFiles();
  expect(next.load("cpu", "scheme revision-2")).toBeUndefined();
  expect(logged[0]).toContain(`it is for ${SYSTEM}`);
  next.save("cpu", "scheme revision-2", learned(700));
  await next.close();
  expect(costFiles().load("cpu", SYSTEM)).toEqual(all);
  expect(costFiles().load("cpu", "scheme revision-2")).toEqual(learned(700));
});

test("a file of the format before is read: all its proofs were folds", async () => {
  await saved();
  const memory = [{ proofSystem: SYSTEM, raws: 1, children: 0, logInvRate: 0, bytes: 8e8 }];
  write({ format: 3, costs: [{ ...entry(), kind: "aggregate" }], memory });
  expect(costFiles().load("cpu", SYSTEM)).toEqual(learned(400));
});

test("of other proof systems, the one that was learned last is kept, also within a run", async () => {
  const files = costFiles();
  for (const [at, system] of ["a", "b", "c"].entries()) {
    await wait(1000);
    files.save("cpu", system, learned(400 + at));
  }
  // Before it is written: a device that comes back with the revision before finds what it knew.
  expect(files.load("cpu", "b")?.costs).toMatchObject([{ kind: "fold", logInvRate: 0 }]);
  await files.close();
  expect(costFiles().load("cpu", "a")).toBeUndefined();
  expect(costFiles().load("cpu", "b")).toMatchObject({ memory: [{ bytes: 8e8 }] });
  expect(costFiles().load("cpu", "c")).toMatchObject({ memory: [{ bytes: 8e8 }] });
});

test("a later format is read as far as its writer and this version agree, in one line", async () => {
  await saved();
  const costs = [{ ...entry(), unit: "ms" }, { ...entry(), kind: "split" }, { newer: true }];
  write({ format: 5, readableFrom: 4, costs, memory: [], more: {} });
  expect(costFiles().load("cpu", SYSTEM)).toEqual({ ...learned(400), memory: [] });
  expect(messages.slice(-2)).toEqual([
    "some learned costs of a later version are not used",
    "learned costs loaded",
  ]);
});

test("a model comes back as it was saved, as old as it is", async () => {
  await wait(5000);
  await saved();
  const before = clock.nowMs();
  await wait(60_000);
  const kept = { kind: "fold", logInvRate: 0, model: { ...model(400), atMs: before } };
  expect(costFiles().load("cpu", SYSTEM)).toEqual({ ...learned(1), costs: [kept] });
});

test("it may come back from before this process's clock began", async () => {
  await wait(60_000);
  await saved();
  const { atUnixMs } = entry();
  edit({ atUnixMs: atUnixMs - 3_600_000 });
  expect(costFiles().load("cpu", SYSTEM)?.costs[0]?.model.atMs).toBe(60_000 - 3_600_000);
});

test("wall time that went back makes it no younger than new", async () => {
  await saved();
  const { atUnixMs } = entry();
  edit({ atUnixMs: atUnixMs + 3_600_000 });
  expect(costFiles().load("cpu", SYSTEM)?.costs[0]?.model.atMs).toBe(clock.nowMs());
});

test("the file is for its owner only, and nothing lies beside it", async () => {
  await saved();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(["lean-aggregator-cpu.costs.json"]);
});

test("each device has its own", async () => {
  await saved();
  expect(costFiles().load("gpu", SYSTEM)).toBeUndefined();
  expect(logged).toEqual([]);
});

test("it is written at once, then every 5 s, and at the end", async () => {
  const files = costFiles();
  const predicted = () => {
    const kept = costFiles().load("cpu", SYSTEM);
    if (kept === undefined) return undefined;
    return Math.round(predictMs(modelOf(kept.costs), { raws: 1, children: 0 }));
  };
  const values = [400, 500, 600, 700].map((ms) => model(ms));
  const [first, second, third, last] = values.map((each) =>
    Math.round(predictMs(each, { raws: 1, children: 0 })),
  );
  const save = (n: number) => {
    files.save("cpu", SYSTEM, {
      costs: withModel([], {}, values[n] ?? freshCostModel),
      memory: [],
    });
  };
  save(0);
  await expect.poll(predicted).toBe(first);
  save(1);
  save(2);
  await wait(4900);
  expect(predicted()).toBe(first);
  await wait(200);
  await expect.poll(predicted).toBe(third);
  expect(second).not.toBe(third);
  save(3);
  await files.close();
  expect(predicted()).toBe(last);
  await files.close();
  expect(clock.pending).toBe(0);
});

describe("is not used, and the log says why", () => {
  const refused: [name: string, make: () => void, why: string][] = [
    ["a file that is no JSON", () => writeFileSync(path, "{"), "JSON"],
    ["an empty file", () => writeFileSync(path, ""), "JSON"],
    ["a file of an earlier format", () => writeOld(), "format"],
    [
      "a file of a later format that needs a later version",
      () => write({ format: 6, readableFrom: 5, costs: [entry()] }),
      "has the format 6 of a later version, not 4",
    ],
    ["a file with a field too many", () => edit({ more: 1 }), "more"],
    [
      "a kind of today in an earlier format",
      () => write({ format: 3, costs: [entry()] }),
      "format",
    ],
    ["a kind and rate twice", () => write({ format: 4, costs: [entry(), entry()] }), "twice"],
    ["costs that are no numbers", () => edit({ logMs: [1, 2, null, 4, 5] }), "logMs"],
    ["costs beyond all measure", () => edit({ logMs: [1, 2, 3, 4, 900] }), "logMs"],
    ["a covariance of another size", () => edit({ covariance: [[1]] }), "covariance"],
    [
      "a matrix that is no covariance",
      () => edit({ covariance: identityBut(0, 1, 0.5) }),
      "not a covariance matrix",
    ],
    [
      "variances below nothing",
      () => edit({ covariance: identityBut(2, 2, -0.1) }),
      "not a covariance matrix",
    ],
    ["a scatter of nothing", () => edit({ scatter: 0 }), "scatter"],
    ["a scatter below what is ever learned", () => edit({ scatter: 1e-6 }), "scatter"],
    ["another proof system's", () => edit({ proofSystem: "scheme 2" }), "for scheme 2"],
    ["a file of many bytes", () => writeFileSync(path, " ".repeat(200_000)), "200000 bytes"],
    ["a folder", () => (rmSync(path), mkdirSync(path)), "not a regular file"],
    ["a symbolic link", () => moveBehindLink(), "it is a symbolic link"],
  ];
  const identityBut = (row: number, column: number, value: number) =>
    [0, 1, 2, 3, 4].map((r) =>
      [0, 1, 2, 3, 4].map((c) => (r === row && c === column ? value : Number(r === c))),
    );
  const writeOld = () => {
    write({ format: 2, ...entry() });
  };
  const moveBehindLink = () => {
    const target = join(folder, "elsewhere");
    writeFileSync(target, readFileSync(path));
    rmSync(path);
    symlinkSync(target, path);
  };

  test.each(refused)("%s", async (_name, make, why) => {
    await saved();
    make();
    expect(costFiles().load("cpu", SYSTEM)).toBeUndefined();
    expect(logged).toHaveLength(1);
    expect(logged[0]).toMatch(/^learned costs are not used: /);
    expect(logged[0]).toContain(why);
  });

  test("another user's file", async () => {
    await saved();
    expect(costFiles((UID ?? 0) + 1).load("cpu", SYSTEM)).toBeUndefined();
    expect(logged[0]).toContain("owns it");
  });
});

test("writing replaces a symbolic link and does not follow it", async () => {
  const target = join(folder, "victim");
  writeFileSync(target, "untouched");
  chmodSync(target, 0o600);
  symlinkSync(target, path);
  symlinkSync(target, `${path}.new`);
  await saved();
  expect(readFileSync(target, "utf8")).toBe("untouched");
  expect(costFiles().load("cpu", SYSTEM)).toBeDefined();
});

test("what could not be written is written once it can be, and the log says so", async () => {
  rmSync(folder, { recursive: true });
  const files = costFiles();
  files.save("cpu", SYSTEM, learned(400));
  await expect.poll(() => logged.length).toBe(1);
  await wait(20_000);
  expect(logged).toEqual([
    `learned costs not saved; the service goes on and tries again: the folder ${folder} does not exist`,
  ]);
  mkdirSync(folder);
  // A write takes real time: it may miss the next instant of the clock, and then takes the one after.
  const saved = async () => (await wait(5_100), costFiles().load("cpu", SYSTEM));
  await expect.poll(saved, { timeout: 10_000 }).toBeDefined();
  await files.close();
  expect(messages).toContain("learned costs are saved again");
});

test("a missing folder is logged once, and stops nothing", async () => {
  const files = costFiles();
  rmSync(folder, { recursive: true });
  files.save("cpu", SYSTEM, learned(400));
  files.save("gpu", SYSTEM, learned(400));
  await files.close();
  expect(existsSync(folder)).toBe(false);
  expect(logged).toHaveLength(1);
  expect(logged[0]).toMatch(/^learned costs not saved; .*the folder .* does not exist/);
});
