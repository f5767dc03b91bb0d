/** Where `plan` takes costs from: a file, a service, the state folder, or the table of this version. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Device } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ProofKind } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fileReason } from "../../server/files/file-reason.js";
import { readFileWithin } from "../../server/files/read-file.js";
import { valueIn } from "../../server/files/json-file.js";
import { JsonError, parseJsonText } from "../../server/json/json-text.js";
import { costsInFile } from "../../server/lane/costs/cost-file.js";
import { limits } from "../../server/limits.js";
import type { CostModel } from "../../server/work/costs/cost-model.js";
import { freshCostModel, learn } from "../../server/work/costs/cost-model.js";
import { peakBytes } from "../../server/work/costs/memory-model.js";
import type { Shape } from "../../server/work/shape.js";
import { usageError } from "../io/command.js";
import type { TuneFile } from "../tune/tune-file.js";
import { tuneFileSchema } from "../tune/tune-file.js";
import type { LaneKind } from "./plan.js";

const COST_FILE = /^lean-aggregator-([a-z0-9-]{1,32})\.costs\.json$/;
/** A standby that waits: it has been set up, and has proved nothing. */
const STANDBY_BYTES = 0.3e9;
/** Cores of a lane where nothing says how many: those of the table. */
const CORES_DEFAULT = 2;
/** Proofs of a shape that a median stands for, and the most of each shape that are learned from. */
const TIMES = 12;
const SAMPLES_MAX = 40;

export interface Costs {
  /** Most raw signatures of a proof that was measured; undefined: not known. */
  rawsMax?: number;
  kinds: readonly LaneKind[];
  /** Where they are from, and what is assumed: a line each. */
  notes: readonly string[];
}

/** Costs of one kind of lane whose cores nothing says. */
function oneKind(
  name: string,
  costs: CostModel,
  laneCores: number | undefined,
  note: string,
): Costs {
  const cores = laneCores ?? CORES_DEFAULT;
  const assumed = `each lane is taken to have ${cores} cores: say --lane-cores where it has others`;
  return {
    kinds: [{ name, cores, costs, bytesOf: (shape) => peakBytes([], shape) + STANDBY_BYTES }],
    notes: [note, ...(laneCores === undefined ? [assumed] : [])],
  };
}

/** The table with which every device begins, without the doubt that it is about this host. */
export function tableCosts(laneCores: number | undefined): Costs {
  const covariance = freshCostModel.covariance.map((row) => row.map(() => 0));
  const note =
    "costs: the table of this version, of 2 cores of one server; nothing was measured here: " +
    "run 'lean-aggregator tune --out FILE' and name it by --costs";
  return oneKind("table", { ...freshCostModel, covariance }, laneCores, note);
}

/** The costs of a file of `tune --out`, or of one in a state folder. Throws a usage error. */
export function fileCosts(path: string, laneCores: number | undefined): Costs {
  const wrong = (why: string, cause: unknown) =>
    usageError(`--costs ${path} ${why}`, "name a file of 'tune --out', or of --state-dir", cause);
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
      : learnedCosts(text, path, laneCores);
  } catch (cause) {
    if (cause instanceof JsonError) throw wrong(cause.message, cause);
    throw cause;
  }
}

/** The costs of the first device in the state folder; undefined without a usable file. */
export function stateCosts(folder: string, laneCores: number | undefined): Costs | undefined {
  if (!existsSync(folder)) return undefined;
  const [file] = readdirSync(folder)
    .filter((name) => COST_FILE.test(name))
    .toSorted();
  if (file === undefined) return undefined;
  return fileCosts(join(folder, file), laneCores);
}

/** The costs that a service has learned of its first device. Throws a usage error without any. */
export function serviceCosts(
  devices: readonly Pick<Device, "id" | "learnedCosts">[],
  laneCores: number | undefined,
): Costs {
  const device = devices.find(({ learnedCosts }) => learnedCosts.length > 0);
  if (device === undefined) {
    throw usageError("the service of --server has learned no costs yet", "try --costs");
  }
  const folds = device.learnedCosts.filter(({ kind }) => kind !== ProofKind.MERGE);
  const samples = folds.map(({ rawSignatures: raws, children, proveMs }) => ({
    shape: { raws, children },
    tookMs: Array.from({ length: TIMES }, () => proveMs),
  }));
  const note = `costs: as the service of --server has learned them of device ${device.id}`;
  return oneKind(device.id, learnedFrom(samples), laneCores, note);
}

function isTuneFile(text: string): boolean {
  const value = parseJsonText(text);
  return typeof value === "object" && value !== null && "measuredBy" in value;
}

function learnedCosts(text: string, path: string, laneCores: number | undefined): Costs {
  const newest = costsInFile(text).find(({ kind }) => kind === "fold");
  if (newest === undefined) {
    throw usageError(`--costs ${path} has no costs yet`, "name a file of 'tune --out'");
  }
  const note = `costs: as learned in ${path}, of ${newest.proofSystem}`;
  return oneKind("learned", newest.model, laneCores, note);
}

function tuneCosts({ layouts, fake, processor, at }: TuneFile, path: string): Costs {
  const usable = layouts.filter(({ shapes }) => shapes.length > 0);
  if (usable.length === 0) {
    throw usageError(`--costs ${path} has no layout that was measured`, "run 'tune' again");
  }
  const kinds = usable.map(({ lanes, coresEach, threads, shapes, proverBytes: held }): LaneKind => {
    const samples = shapes.map(({ raws, children, tookMs }) => {
      return { shape: { raws, children }, tookMs };
    });
    return {
      name: `${lanes} x ${coresEach}${threads === 0 ? "" : `/${threads}`}`,
      cores: coresEach,
      costs: learnedFrom(samples),
      bytesOf: (shape) => Math.max(held, peakBytes([], shape)) + STANDBY_BYTES,
    };
  });
  const fakeNote = fake ? ["FAKE: measured with simulated proofs"] : [];
  const rawsMax = Math.max(...usable.flatMap(({ shapes }) => shapes.map(({ raws }) => raws)));
  return { rawsMax, kinds, notes: [...fakeNote, `costs: ${path}, measured ${at} on ${processor}`] };
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
