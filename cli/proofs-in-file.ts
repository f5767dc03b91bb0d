/**
 * The proofs that a file holds: one `VerifyAggregateRequest`, or outcomes as `submit --json`,
 * `watch --json`, `GetSession` and grpcurl print them, whose keys are looked up in a key table.
 */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import { create, fromBinary } from "@bufbuild/protobuf";
import { bitsToIndices } from "../proto/bitlist.js";
import type {
  Outcome,
  ValidatorKey,
  VerifyAggregateRequest,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  OutcomeSchema,
  SessionSchema,
  VerifyAggregateRequestSchema,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { usageError } from "./io/command.js";
import { isProved } from "./io/outcome-line.js";
import { messageFromJson, nameOf, parseJson } from "./io/read-input.js";

export type Proofs =
  { kind: "request"; request: VerifyAggregateRequest } | { kind: "outcomes"; outcomes: Outcome[] };

/** @param file names the input in errors, and its form: binary when it ends in `.bin`. */
export function proofsInFile(bytes: Uint8Array, file: string): Proofs {
  if (file.endsWith(".bin")) return binaryRequest(bytes, file);
  // Objects one after another, whether one a line or each over several lines.
  const texts = Buffer.from(bytes)
    .toString()
    .split(/(?<=\})\s*\n(?=\{)/);
  const documents = texts.map((text) => parseJson(text, file));
  const [only] = documents;
  if (documents.length === 1 && isObject(only) && ("publicKeys" in only || "public_keys" in only)) {
    const request = messageFromJson(VerifyAggregateRequestSchema, only, file);
    return { kind: "request", request };
  }
  return { kind: "outcomes", outcomes: documents.flatMap((json) => outcomesIn(json, file)) };
}

/** Asks to verify the outcome's proof against the keys of exactly its participants. */
export function verifyRequestOf(
  outcome: Outcome,
  keys: readonly ValidatorKey[],
  keysFile: string,
): VerifyAggregateRequest {
  const keyOf = new Map(keys.map(({ validatorIndex, publicKey }) => [validatorIndex, publicKey]));
  const validators = bitsToIndices(outcome.participants);
  const publicKeys = validators.flatMap((validator) => keyOf.get(validator) ?? []);
  const missing = validators.filter((validator) => !keyOf.has(validator));
  if (missing.length > 0) {
    throw usageError(
      `no key of validator ${missing.slice(0, 4).join(", ")}`,
      nameOf(keysFile),
      "give the snapshot that was submitted",
    );
  }
  const { data, message, proof, proofSystem } = outcome;
  return create(VerifyAggregateRequestSchema, {
    ...(data && { data }),
    message,
    publicKeys,
    proof,
    ...(proofSystem && { proofSystem }),
  });
}

/** Proved, and not yet erased by its fence. */
export const hasProof = (outcome: Outcome) => isProved(outcome) && outcome.proof.length > 0;

function binaryRequest(bytes: Uint8Array, file: string): Proofs {
  try {
    return { kind: "request", request: fromBinary(VerifyAggregateRequestSchema, bytes) };
  } catch (cause) {
    throw usageError("not a binary VerifyAggregateRequest", file, "give outcomes as JSON", cause);
  }
}

/** None in a message of another kind, such as the answer to a submission. */
function outcomesIn(json: JsonValue, file: string): Outcome[] {
  if (!isObject(json)) {
    throw usageError("no outcomes", nameOf(file), "give what 'submit --json' prints");
  }
  const { session, outcome, accepted, skipped, summary, opened, gap } = json;
  if (isObject(session)) return outcomesIn(session, file);
  if ("outcomes" in json) return messageFromJson(SessionSchema, json, file).outcomes;
  if (isObject(outcome)) return [messageFromJson(OutcomeSchema, outcome, file)];
  if ([accepted, skipped, summary, opened, gap].some(isObject)) return [];
  return [messageFromJson(OutcomeSchema, json, file)];
}

function isObject(json: JsonValue | undefined): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
