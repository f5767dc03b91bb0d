/** The setting `upgrade`: the next revision of the default proof system, and from which slot it is that. */
import { z } from "zod";
import { JsonError, parseJsonText } from "../json/json-text.js";
import { defaults } from "../limits.js";

const expected =
  'expected an object with revision and slot, such as {"revision": "py-lean-pq-0.8.0", "slot": 123456, "shadow": 0.01}';
const revision = 'expected a revision, such as "py-lean-pq-0.8.0"';
const slot = `expected a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`;
const shadow = "expected a share from 0 to 1";

/** A flag and a variable have the object as a text. */
function objectIn(value: unknown, context: z.RefinementCtx): unknown {
  if (typeof value !== "string" || !value.trimStart().startsWith("{")) return value;
  try {
    return parseJsonText(value.trim());
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    context.addIssue({ code: "custom", message: `the object ${error.message}` });
    return z.NEVER;
  }
}

const fields = z.strictObject({
  /** Revision of the default's scheme, as provers name it. */
  revision: z.string(revision).regex(/^\S{1,64}$/, revision),
  /** First slot whose snapshots get it. */
  slot: z.number(slot).int(slot).min(0, slot).max(Number.MAX_SAFE_INTEGER, slot),
  /** Share of the proofs before that slot which are made again by it, from 0 to 1. */
  shadow: z.number(shadow).min(0, shadow).max(1, shadow).default(defaults.shadowShare),
});

const isUpgrade = (value: object) => "revision" in value && "slot" in value;

export const upgradeSetting = z
  .preprocess(objectIn, z.looseObject({}, expected).refine(isUpgrade, expected))
  .pipe(fields);
