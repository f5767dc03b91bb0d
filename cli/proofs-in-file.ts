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
  ClaimKeysSchema,
  KeyRole,
  OutcomeSchema,
  ProofKind,
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
  if (documents.length === 1 && isObject(only) && hasKeys(only)) {
    const request = messageFromJson(VerifyAggregateRequestSchema, only, file);
    return { kind: "request", request };
  }
  return { kind: "outcomes", outcomes: documents.flatMap((json) => outcomesIn(json, file)) };
}

/**
 * Makes the request to verify the outcome's proof against the keys of exactly its participants; of a
 * merge, of those of each claim. Throws a usage error when the snapshot, read from `keysFile`, lacks
 * one of them.
 */
export function verifyRequestOf(
  outcome: Outcome,
  snapshot: Pick<Snapshot, "keys" | "sszBitlists">,
  keysFile: string,
): VerifyAggregateRequest {
  const keysOf = (participants: Uint8Array, role: KeyRole) =>
    publicKeysOf(participants, role, snapshot, keysFile);
  const { data, message, proof, proofSystem, participants } = outcome;
  const of = { proof, ...(proofSystem && { proofSystem }) };
  if (outcome.claims.length > 0) {
    const claims = outcome.claims.map(({ signed, role, participants: signers }) => {
      return create(ClaimKeysSchema, { signed, publicKeys: keysOf(signers, role) });
    });
    return create(VerifyAggregateRequestSchema, { ...of, kind: ProofKind.MERGE, claims });
  }
  const publicKeys = keysOf(participants, KeyRole.ATTESTATION);
  return create(VerifyAggregateRequestSchema, {
    ...of,
    ...(data && { data }),
    message,
    publicKeys,
  });
}

function publicKeysOf(
  participants: Uint8Array,
  role: KeyRole,
  { keys, sszBitlists }: Pick<Snapshot, "keys" | "sszBitlists">,
  keysFile: string,
): Uint8Array[] {
  const roleOf = (given: KeyRole) => (given === KeyRole.UNSPECIFIED ? KeyRole.ATTESTATION : given);
  const ofRole = keys.filter((key) => roleOf(key.role) === roleOf(role));
  const keyOf = new Map(ofRole.map(({ validatorIndex, publicKey }) => [validatorIndex, publicKey]));
  const bits = sszBitlists ? decodeSszBitlist(participants)?.bits : participants;
  const validators = bitsToIndices(bits ?? participants);
  const missing = validators.filter((validator) => !keyOf.has(validator));
  if (missing.length > 0) {
    const names = missing.slice(0, 4).join(", ");
    const more = missing.length > 4 ? ` and ${missing.length - 4} more` : "";
    throw usageError(
      `--keys ${nameOf(keysFile)} has no key for validator ${names}${more}`,
      "name the snapshot that was submitted",
    );
  }
  return validators.flatMap((validator) => keyOf.get(validator) ?? []);
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

/** Whether a request to verify has these fields; an outcome has no keys. */
function hasKeys(json: Record<string, unknown>): boolean {
  if ("publicKeys" in json || "public_keys" in json) return true;
  const { claims } = json;
  return Array.isArray(claims) && claims.some((claim) => isObject(claim) && hasKeys(claim));
}

function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}
