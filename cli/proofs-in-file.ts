/**
 * Reads the proofs in a file: one `VerifyAggregateRequest`, or outcomes as `submit --json`,
 * `watch --json` and `GetSession` through grpcurl print them. An outcome names validators; their
 * public keys come from the snapshot's key table.
 */
import { create } from "@bufbuild/protobuf";
import { bitsToIndices, decodeSszBitlist } from "../proto/bitlist.js";
import type {
  Outcome,
  Snapshot,
  VerifyAggregateRequest,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  OutcomeSchema,
  SessionSchema,
  VerifyAggregateRequestSchema,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { usageError } from "./io/command.js";
import { isProved } from "./io/outcome-line.js";
import { messageFromBinary, messageFromJson, nameOf, parseJson, textOf } from "./io/read-input.js";

export type Proofs =
  { kind: "request"; request: VerifyAggregateRequest } | { kind: "outcomes"; outcomes: Outcome[] };

/**
 * Finds the proofs in `bytes`. Throws a usage error when the bytes have neither form.
 * @param file names the input in errors; a name that ends in `.bin` means binary
 */
export function proofsInFile(bytes: Uint8Array, file: string): Proofs {
  if (file.endsWith(".bin")) {
    const request = messageFromBinary(VerifyAggregateRequestSchema, bytes, file);
    return { kind: "request", request };
  }
  // One or more JSON objects, each on one line or on several.
  const texts = textOf(bytes, file).split(/(?<=\})\s*\n(?=\{)/);
  const documents = texts.map((text) => parseJson(text, file));
  const [only] = documents;
  if (documents.length === 1 && isObject(only) && ("publicKeys" in only || "public_keys" in only)) {
    const request = messageFromJson(VerifyAggregateRequestSchema, only, file);
    return { kind: "request", request };
  }
  return { kind: "outcomes", outcomes: documents.flatMap((json) => outcomesIn(json, file)) };
}

/**
 * Makes the request to verify the outcome's proof against the keys of exactly its participants.
 * Throws a usage error when the snapshot, read from `keysFile`, lacks one of them.
 */
export function verifyRequestOf(
  outcome: Outcome,
  { keys, sszBitlists }: Pick<Snapshot, "keys" | "sszBitlists">,
  keysFile: string,
): VerifyAggregateRequest {
  const keyOf = new Map(keys.map(({ validatorIndex, publicKey }) => [validatorIndex, publicKey]));
  const { participants } = outcome;
  const bits = sszBitlists ? decodeSszBitlist(participants)?.bits : participants;
  const validators = bitsToIndices(bits ?? participants);
  const publicKeys = validators.flatMap((validator) => keyOf.get(validator) ?? []);
  const missing = validators.filter((validator) => !keyOf.has(validator));
  if (missing.length > 0) {
    const names = missing.slice(0, 4).join(", ");
    const more = missing.length > 4 ? ` and ${missing.length - 4} more` : "";
    throw usageError(
      `--keys ${nameOf(keysFile)} has no key for validator ${names}${more}`,
      "name the snapshot that was submitted",
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

/** True for a proved outcome whose proof the service had not yet erased at its fence. */
export const hasProof = (outcome: Outcome) => isProved(outcome) && outcome.proof.length > 0;

/** Returns the outcomes in one JSON object; none for an event without outcome, as a summary. */
function outcomesIn(json: unknown, file: string): Outcome[] {
  if (!isObject(json)) {
    const problem = `${nameOf(file)} has no outcomes: expected JSON objects`;
    throw usageError(problem, "name a file that 'submit --out' wrote");
  }
  const { session, outcome, accepted, skipped, summary, opened, status } = json;
  if (isObject(session)) return outcomesIn(session, file);
  if ("outcomes" in json) return messageFromJson(SessionSchema, json, file).outcomes;
  if (isObject(outcome)) return [messageFromJson(OutcomeSchema, outcome, file)];
  if ([accepted, skipped, summary, opened, status].some(isObject)) return [];
  return [messageFromJson(OutcomeSchema, json, file)];
}

function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
