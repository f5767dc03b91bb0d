/**
 * The form of a cost file, and which other forms are read: the format before, and a later one whose
 * writer says that this one suffices to read it. So an upgrade and a rollback by one version start
 * with what was learned.
 */
import { z } from "zod";
import { JsonError } from "../../json/json-text.js";
import { valueIn } from "../../files/json-file.js";
import { limits } from "../../limits.js";
import { costBounds, isCovariance } from "../../work/costs/cost-bounds.js";

export const FORMAT = 4;
/** The format in which folds were the one kind of proofs, called aggregates. */
const EARLIER_FORMAT = 3;

const { coefficients, logMax, covarianceMax, scatterMin, scatterMax } = costBounds;
const row = z.array(z.number().min(-covarianceMax).max(covarianceMax)).length(coefficients);
const entryFields = {
  proofSystem: z.string(),
  kind: z.enum(["fold", "merge"]),
  logInvRate: z.int().min(0).max(limits.rateMax),
  atUnixMs: z.number(),
  logMs: z.array(z.number().min(-logMax).max(logMax)).length(coefficients),
  covariance: z.array(row).length(coefficients).refine(isCovariance, "is not a covariance matrix"),
  scatter: z.number().min(scatterMin).max(scatterMax),
};
const entrySchema = z.strictObject(entryFields);
/** A model of one kind and rate of one proof system. */
export type Entry = z.infer<typeof entrySchema>;
const peakFields = {
  proofSystem: z.string(),
  raws: z.int().min(0).max(limits.validatorsMax),
  children: z.int().min(0).max(limits.childrenMax),
  /** Of a merge; absent: a fold. */
  messages: z.int().min(1).max(limits.mergeMessagesMax).optional(),
  logInvRate: z.int().min(0).max(limits.rateMax),
  bytes: z.int().min(1).max(Number.MAX_SAFE_INTEGER),
};
const peakSchema = z.strictObject(peakFields);
export type StoredPeak = z.infer<typeof peakSchema>;
const contentSchema = z.strictObject({
  format: z.literal(FORMAT),
  costs: z.array(entrySchema).max(limits.costEntriesMax),
  memory: z.array(peakSchema).max(limits.memoryPeaksMax).default([]),
});
export type FileContent = z.infer<typeof contentSchema>;

const earlierSchema = z.looseObject({
  format: z.literal(EARLIER_FORMAT),
  costs: z.array(z.looseObject({ kind: z.literal("aggregate") })),
});
/** A later format. `readableFrom`: the least format of a version that may read it. */
const laterSchema = z.object({
  format: z.int().min(FORMAT + 1),
  readableFrom: z.int().max(FORMAT),
  costs: z.array(z.unknown()).max(limits.costEntriesMax),
  memory: z.array(z.unknown()).max(limits.memoryPeaksMax).default([]),
});
const newerSchema = z.looseObject({ format: z.int().min(FORMAT + 1) });

export interface ReadCosts extends Omit<FileContent, "format"> {
  /** Number of entries of a later format that are left out, as this version does not know them. */
  readonly ignored: number;
}

/** What the text of a cost file holds. Throws `JsonError` when it cannot be used. */
export function readCosts(text: string): ReadCosts {
  const value = valueIn(text, z.unknown());
  const later = laterSchema.safeParse(value);
  if (later.success) return fromLater(later.data);
  const newer = newerSchema.safeParse(value);
  if (newer.success) {
    throw new JsonError(
      "",
      `has the format ${newer.data.format} of a later version, not ${FORMAT}`,
    );
  }
  const schema = z.preprocess(fromEarlier, contentSchema);
  return { ...valueIn(text, schema), ignored: 0 };
}

/** The content of a file of `EARLIER_FORMAT` in today's; what is no such file as it is. */
function fromEarlier(content: unknown): unknown {
  const earlier = earlierSchema.safeParse(content);
  if (!earlier.success) return content;
  const costs = earlier.data.costs.map((entry) => ({ ...entry, kind: "fold" }));
  return { ...earlier.data, format: FORMAT, costs };
}

/** Takes the entries that this version knows, without the fields that it does not know. */
function fromLater({ costs, memory }: z.infer<typeof laterSchema>): ReadCosts {
  const known = knownOf(z.object(entryFields), costs);
  const peaks = knownOf(z.object(peakFields), memory);
  const ignored = costs.length - known.length + memory.length - peaks.length;
  return { costs: known, memory: peaks, ignored };
}

function knownOf<T>(schema: z.ZodType<T>, values: readonly unknown[]): T[] {
  return values.flatMap((value) => {
    const parsed = schema.safeParse(value);
    return parsed.success ? [parsed.data] : [];
  });
}
