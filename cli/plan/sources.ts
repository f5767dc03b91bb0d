/** Where `plan` takes costs from: a file, a service, the state folder, or the table of this version. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Device, LearnedCost } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ProofKind } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fileReason } from "../../server/files/file-reason.js";
import { readFileWithin } from "../../server/files/read-file.js";
import { valueIn } from "../../server/files/json-file.js";
import { JsonError, parseJsonText } from "../../server/json/json-text.js";
import { costsInFile } from "../../server/lane/costs/cost-file.js";
import { limits } from "../../server/limits.js";
import { costBounds } from "../../server/work/costs/cost-bounds.js";
import type { CostModel } from "../../server/work/costs/cost-model.js";
import {
  freshCostModel,
  learn,
  OPTIMISTIC_AT,
  PESSIMISTIC_AT,
  predictMs,
} from "../../server/work/costs/cost-model.js";
import type { MemoryModel } from "../../server/work/costs/memory-model.js";
import { peakBytes } from "../../server/work/costs/memory-model.js";
import type { Shape } from "../../server/work/shape.js";
import { atRate } from "../../server/work/shape.js";
import { CommandError, usageError } from "../io/command.js";
import type { TuneFile } from "../tune/tune-file.js";
import { tuneFileSchema } from "../tune/tune-file.js";
import type { LaneKind } from "./plan.js";

const COST_FILE = /^lean-aggregator-([a-z0-9-]{1,32})\.costs\.json$/;
/** Cores of a lane where nothing says how many: those of the table. */
const CORES_DEFAULT = 2;
/** Proofs of each shape that are learned from, at most. */
const SAMPLES_MAX = 40;

/** Variance above which a service's costs are less certain than refreshing keeps those of idle lanes. */
const UNCERTAIN = 0.4 ** 2;
const uncertainNote =
  "these costs are uncertain, as the service has made few proofs lately: ask again while it proves";

export interface Costs {
  /** Most raw signatures of a proof that was measured; undefined: not known. */
  rawsMax?: number;
  kinds: readonly LaneKind[];
  /** Where they are from, and what is assumed: a line each. */
  notes: readonly string[];
}

/** Costs of one kind of lane whose cores nothing says. */
function oneKind(
  kind: Omit<LaneKind, "cores">,
  laneCores: number | undefined,
  note: string,
): Costs {
  const cores = laneCores ?? CORES_DEFAULT;
  const assumed = `each lane is taken to have ${cores} cores: say --lane-cores where it has others`;
  return {
    kinds: [{ ...kind, cores }],
    notes: [note, ...(laneCores === undefined ? [assumed] : [])],
  };
}

/** The table with which every device begins, without the doubt that it is about this host. */
export function tableCosts(laneCores: number | undefined): Costs {
  const covariance = freshCostModel.covariance.map((row) => row.map(() => 0));
  const note =
    "costs: the table of this version, of 2 cores of one server; nothing was measured here: " +
    "run 'lean-aggregator tune --out FILE' and name it by --costs";
  const costs = { ...freshCostModel, covariance };
  return oneKind({ name: "table", costs, proverBytesOf: bytesBy([]) }, laneCores, note);
}

/** How many bytes a prover holds at most, by peaks that were measured. */
function bytesBy(peaks: MemoryModel): LaneKind["proverBytesOf"] {
  return (shape) => peakBytes(peaks, shape);
}

/**
 * The costs of a file of `tune --out`, or of one in a state folder. Throws a usage error.
 * @param named the file as the user named it
 */
export function fileCosts(
  path: string,
  laneCores: number | undefined,
  named = `--costs ${path}`,
): Costs {
  const wrong = (why: string, cause?: unknown) =>
    usageError(`${named} ${why}`, "name a file of 'tune --out', or of --state-dir", cause);
  let text: string;
  try {
    const options = { bytesMax: limits.inputFileBytesMax, mustBeFile: true };
    text = readFileWithin(path, options).toString();
  } catch (cause) {
    throw wrong(`cannot be read: ${fileReason(cause, path)}`, cause);
  }
  try {
    return isTuneFile(text)
      ? tuneCosts(valueIn(text, tuneFileSchema), path)
      : learnedCosts(text, { path, laneCores, wrong });
  } catch (cause) {
    if (cause instanceof JsonError) throw wrong(cause.message, cause);
    throw cause;
  }
}

/**
 * The costs of the first device in a state folder that the user named. Throws a usage error when it
 * has none, or cannot be read.
 */
export function stateCosts(folder: string, laneCores: number | undefined): Costs {
  const named = `--state-dir ${folder}`;
  const todo = "name that of a service, and run this as its user";
  try {
    const [file] = readdirSync(folder)
      .filter((name) => COST_FILE.test(name))
      .toSorted();
    if (file === undefined) throw usageError(`${named} has no learned costs`, todo);
    const path = join(folder, file);
    return fileCosts(path, laneCores, `${path} of --state-dir`);
  } catch (cause) {
    if (cause instanceof CommandError) throw cause;
    throw usageError(`${named} cannot be read: ${fileReason(cause, folder)}`, todo, cause);
  }
}

/** The costs in this user's own state folder; those of the table, with a note, where it has none. */
export function ownCosts(folder: string | undefined, laneCores: number | undefined): Costs {
  const table = tableCosts(laneCores);
  if (folder === undefined || !existsSync(folder)) return table;
  try {
    return stateCosts(folder, laneCores);
  } catch (cause) {
    if (!(cause instanceof CommandError)) throw cause;
    return { ...table, notes: [...table.notes, `nothing is taken from here: ${cause.message}`] };
  }
}

/**
 * The costs that a service has learned of the first device that has learned any, of the lowest rate.
 * Throws a usage error without such a device.
 */
export function serviceCosts(
  devices: readonly Pick<Device, "id" | "learnedCosts">[],
  laneCores: number | undefined,
): Costs {
  const found = devices
    .map(({ id, learnedCosts: costs }) => ({ id, folds: foldsOfLowestRate(costs) }))
    .find(({ folds }) => !areOfTable(folds));
  if (found === undefined) {
    throw usageError(
      "the service of --server has learned no costs yet",
      "ask again after its first proofs, or name a file by --costs",
    );
  }
  const { id, folds } = found;
  const samples = folds.map((cost) => ({ shape: shapeOf(cost), tookMs: [cost.proveMs] }));
  const rate = folds[0]?.logInvRate ?? 0;
  const ofRate = rate === 0 ? "" : `, at the rate ${rate}`;
  const note = `costs: as the service of --server has learned them of device ${id}${ofRate}`;
  const costs = { ...learnedFrom(samples), scatter: scatterOf(folds) };
  const proverBytesOf = bytesBy(peaksOf(folds));
  const { kinds, notes } = oneKind({ name: id, costs, proverBytesOf }, laneCores, note);
  return { kinds, notes: [...notes, ...(costs.scatter > UNCERTAIN ? [uncertainNote] : [])] };
}

/** The peaks that a service predicts, by what it has measured. */
function peaksOf(folds: readonly LearnedCost[]): MemoryModel {
  return folds.flatMap((cost) => {
    const bytes = Number(cost.peakBytes);
    return bytes > 0 ? [{ shape: shapeOf(cost), bytes }] : [];
  });
}

const shapeOf = ({ rawSignatures: raws, children }: LearnedCost): Shape => ({ raws, children });

function foldsOfLowestRate(costs: readonly LearnedCost[]): LearnedCost[] {
  const folds = costs.filter(({ kind }) => kind !== ProofKind.MERGE);
  const lowest = Math.min(...folds.map(({ logInvRate }) => logInvRate));
  return folds.filter(({ logInvRate }) => logInvRate === lowest);
}

/** Whether these are the medians with which every device begins: a first proof changes them all. */
function areOfTable(folds: readonly LearnedCost[]): boolean {
  return folds.every(
    (cost) => cost.proveMs === Math.round(predictMs(freshCostModel, shapeOf(cost))),
  );
}

/** The variance by which proofs of the shape that is known best differ from their median. */
function scatterOf(folds: readonly LearnedCost[]): number {
  const deviations = folds.map(({ proveMsLow: low, proveMsHigh: high }) => {
    return Math.log(Math.max(1, high) / Math.max(1, low)) / (PESSIMISTIC_AT - OPTIMISTIC_AT);
  });
  const { scatterMin, scatterMax } = costBounds;
  return Math.max(scatterMin, Math.min(scatterMax, Math.min(...deviations) ** 2));
}

function isTuneFile(text: string): boolean {
  const value = parseJsonText(text);
  return typeof value === "object" && value !== null && "measuredBy" in value;
}

function learnedCosts(
  text: string,
  of: { path: string; laneCores: number | undefined; wrong: (why: string) => CommandError },
): Costs {
  const { path, laneCores, wrong } = of;
  const newest = costsInFile(text).find(({ kind }) => kind === "fold");
  if (newest === undefined) throw wrong("has no costs yet");
  const note = `costs: as learned in ${path}, of ${newest.proofSystem}`;
  const { model: costs, memory, logInvRate } = newest;
  const proverBytesOf = (shape: Shape) => peakBytes(memory, atRate(shape, logInvRate));
  return oneKind({ name: "learned", costs, proverBytesOf }, laneCores, note);
}

function tuneCosts({ layouts, fake, processor, at }: TuneFile, path: string): Costs {
  const usable = layouts.filter(({ shapes }) => shapes.length > 0);
  if (usable.length === 0) {
    throw usageError(`--costs ${path} has no layout that was measured`, "run 'tune' again");
  }
  const kinds = usable.map((layout): LaneKind => {
    const { lanes, coresEach, threads, shapes, proverBytes, setupBytes } = layout;
    const samples = shapes.map(({ raws, children, tookMs }) => {
      return { shape: { raws, children }, tookMs };
    });
    return {
      name: `${lanes} x ${coresEach}${threads === 0 ? "" : `/${threads}`}`,
      cores: coresEach,
      costs: learnedFrom(samples),
      proverBytesOf: bytesBy(proverBytes === 0 ? [] : heldBy(samples, proverBytes)),
      ...(setupBytes > 0 && { standbyBytes: setupBytes }),
    };
  });
  const fakeNote = fake ? ["FAKE: measured with simulated proofs"] : [];
  const rawsMax = Math.max(...usable.flatMap(({ shapes }) => shapes.map(({ raws }) => raws)));
  return { rawsMax, kinds, notes: [...fakeNote, `costs: ${path}, measured ${at} on ${processor}`] };
}

/** Peaks of the shapes that one prover has proved in turn: of each, no more than it held at most. */
function heldBy(proved: readonly { shape: Shape }[], bytes: number): MemoryModel {
  return proved.map(({ shape }) => ({ shape, bytes }));
}

/** The model that has seen these proofs, of all shapes in turn. */
function learnedFrom(samples: readonly { shape: Shape; tookMs: readonly number[] }[]): CostModel {
  let model = freshCostModel;
  for (let nth = 0; nth < SAMPLES_MAX; nth++) {
    for (const { shape, tookMs } of samples) {
      // A shape with few samples is as well known as one with many: each is repeated in turn.
      const took = tookMs[nth % tookMs.length];
      if (took !== undefined) model = learn(model, shape, took, 0);
    }
  }
  return model;
}
