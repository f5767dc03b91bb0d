/**
 * Everything that crosses the pipe between the service and a prover process (`host.ts`), and the
 * checks on it. The prover process is not trusted: what it sends is typed, bounded and held against
 * the request it answers before anything above `process-prover.ts` sees it.
 */
import { z } from "zod";
import { limits } from "../limits.js";
import { safeParse } from "../safe-parse.js";

const U32_MAX = 0xffff_ffff;

/** A prover's words end in logs, outcomes and terminals, where control characters would act. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, " ");
}

const u32 = z.int().min(0).max(U32_MAX);
const requestId = z.int().min(1);
const bytes = z.instanceof(Uint8Array);
const signedMessage = z.strictObject({
  root: bytes.refine((root) => root.length === 32, "a root has 32 bytes"),
  slot: u32,
});
const claim = z.strictObject({ proof: bytes, keys: bytes });

const verifySignatures = z.strictObject({
  type: z.literal("request"),
  id: requestId,
  op: z.literal("verifySignatures"),
  message: signedMessage,
  keys: bytes,
  signatures: bytes,
});
const verifyAggregate = z.strictObject({
  type: z.literal("request"),
  id: requestId,
  op: z.literal("verifyAggregate"),
  message: signedMessage,
  claim,
});
const aggregate = z.strictObject({
  type: z.literal("request"),
  id: requestId,
  op: z.literal("aggregate"),
  message: signedMessage,
  keys: bytes,
  signatures: bytes,
  children: z.array(claim),
  logInvRate: u32,
});
const request = z.discriminatedUnion("op", [verifySignatures, verifyAggregate, aggregate]);

const start = z.strictObject({
  type: z.literal("start"),
  backend: z.strictObject({ library: z.string().min(1), config: z.string() }),
  nice: z.int().min(-20).max(19),
  cores: z.array(u32),
  fileBytesMax: u32,
});
const toHost = z.discriminatedUnion("type", [start, request]);

/** First message to the prover process: how to set itself up. */
export type ChildStart = z.infer<typeof start>;
export type ChildRequest = z.infer<typeof request>;
export type ToChild = z.infer<typeof toHost>;

const name = z
  .string()
  .max(limits.proverNameLengthMax)
  .regex(/^[\x20-\x7e]*$/, "a name is printable ASCII");
const ready = z.strictObject({
  type: z.literal("ready"),
  description: z.strictObject({
    backend: name,
    scheme: name,
    revision: name,
    kinds: u32,
    publicKeyBytes: u32.min(1).max(limits.proverItemBytesMax),
    signatureBytes: u32.min(1).max(limits.proverItemBytesMax),
    proofBytesMax: u32,
    childrenMax: u32,
    rawsMax: u32,
    keyOrderMatters: z.boolean(),
  }),
});
const heartbeat = z.strictObject({
  type: z.literal("heartbeat"),
  residentBytes: z.int().min(0),
});
/** `value` is checked against its request, by one of the `parse…` functions below. */
const done = z.strictObject({
  type: z.literal("reply"),
  id: requestId,
  ok: z.literal(true),
  value: z.unknown(),
});
const failed = z.strictObject({
  type: z.literal("reply"),
  id: requestId,
  ok: z.literal(false),
  kind: z.enum(["refused", "internal"]),
  message: z.string().max(limits.proverErrorLengthMax).transform(printable),
});
const fromHost = z.union([ready, heartbeat, done, failed]);

export type ChildReply = z.infer<typeof done> | z.infer<typeof failed>;
export type FromChild = z.infer<typeof fromHost>;

/** A message that no correct peer sends. */
export class GarbledMessageError extends Error {
  override readonly name = "GarbledMessageError";
}

function parse<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const result = safeParse(schema, value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? "" : ` at ${issue.path.join(".")}`;
  throw new GarbledMessageError(`garbled ${what}${where}: ${issue?.message ?? "unknown"}`);
}

/** What the service sent. Throws `GarbledMessageError`. */
export function parseToChild(value: unknown): ToChild {
  return parse(toHost, value, "message from the service");
}

/** What the prover process sent, but for a reply's value. Throws `GarbledMessageError`. */
export function parseFromChild(value: unknown): FromChild {
  return parse(fromHost, value, "message from the prover");
}

const verdicts = z.array(z.enum(["ok", "bad_signature", "wrong_leaf"]));

/** One verdict per key, no more and no fewer. Throws `GarbledMessageError`. */
export function parseVerdicts(value: unknown, keyCount: number): z.infer<typeof verdicts> {
  // The length first: it bounds the work of the rest.
  if (!Array.isArray(value) || value.length !== keyCount) {
    throw new GarbledMessageError(`garbled reply: expected ${String(keyCount)} verdicts`);
  }
  return parse(verdicts, value, "verdicts");
}

/** Throws `GarbledMessageError`. */
export function parseBoolean(value: unknown): boolean {
  return parse(z.boolean(), value, "answer");
}

/** A proof, copied off the pipe's buffer. Throws `GarbledMessageError`. */
export function parseProof(value: unknown, proofBytesMax: number): Uint8Array {
  const proof = parse(bytes, value, "proof");
  if (proof.length === 0 || proof.length > proofBytesMax) {
    throw new GarbledMessageError(
      `garbled proof: ${String(proof.length)} bytes, at most ${String(proofBytesMax)} expected`,
    );
  }
  return new Uint8Array(proof);
}
