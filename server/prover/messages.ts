/**
 * Every message on the pipe between the service (parent) and a prover process (child,
 * `child-main.ts`), and its checks. The child is not trusted: type, size, and fit to the request
 * are checked for each of its messages before code above `forked-prover.ts` sees it.
 */
import { z } from "zod";
import { limits } from "../limits.js";
import { printable } from "../printable.js";
import { safeParse } from "../json/safe-parse.js";

const U32_MAX = 0xffff_ffff;

const u32 = z.int().min(0).max(U32_MAX);
const id = z.int().min(1);
const bytes = z.instanceof(Uint8Array);
const signedMessage = z.strictObject({
  root: bytes.refine((root) => root.length === 32, "a root has 32 bytes"),
  slot: u32,
});
const claim = signedMessage.extend({ keys: bytes });
const raws = claim.extend({ signatures: bytes });
const jobKind = z.enum(["fold", "merge"]);
const proof = z.strictObject({ kind: jobKind, bytes, claims: z.array(claim) });
const job = z.strictObject({
  kind: jobKind,
  logInvRate: u32,
  raws: z.array(raws),
  children: z.array(proof),
  wanted: z.array(claim),
});

const verifySignatures = z.strictObject({ kind: z.literal("verifySignatures"), id, raws });
const verify = z.strictObject({ kind: z.literal("verify"), id, proof });
const prove = z.strictObject({ kind: z.literal("prove"), id, job });
const request = z.discriminatedUnion("kind", [verifySignatures, verify, prove]);

const start = z.strictObject({
  kind: z.literal("start"),
  backend: z.strictObject({ library: z.string().min(1), config: z.string() }),
  nice: z.int().min(-20).max(19),
  cores: z.array(u32),
  threads: u32,
  fileBytesMax: u32,
  /** Where the library may keep files; undefined: nowhere. */
  cacheFolder: z.string().min(1).optional(),
});
const toChild = z.discriminatedUnion("kind", [start, request]);

/** The first message to the child: how to set itself up. */
export type ChildStart = z.infer<typeof start>;
export type ChildRequest = z.infer<typeof request>;
/** A request without its number. */
export type ChildQuestion = ChildRequest extends infer R
  ? R extends ChildRequest
    ? Omit<R, "id">
    : never
  : never;
export type ToChild = z.infer<typeof toChild>;

const name = z
  .string()
  .max(limits.proverNameLengthMax)
  .regex(/^[\x20-\x7e]*$/, "a name is printable ASCII");
const description = z.strictObject({
  backend: name,
  scheme: name,
  revision: name,
  publicKeyBytes: u32.min(1).max(limits.proverItemBytesMax),
  signatureBytes: u32.min(1).max(limits.proverItemBytesMax),
  proofBytesMax: u32,
  childrenMax: u32,
  rawsMax: u32.exactOptional(),
  rawsBesideMax: u32.exactOptional(),
  separatesRaws: z.boolean().exactOptional(),
  arities: u32.exactOptional(),
  messagesMax: u32.max(limits.mergeMessagesMax),
  rates: u32,
});
const residentBytes = z.int().min(0);
const errorText = z.string().max(limits.proverErrorLengthMax).transform(printable);
/**
 * The child is set up. `setupMs`: the time that its library says a setup takes; 0: not said.
 * `residentBytes`: its memory before any call.
 */
const ready = z.strictObject({
  kind: z.literal("ready"),
  description,
  setupMs: u32,
  residentBytes,
});
/**
 * The child cannot be set up. `isFinal`: a later setup with the same library would end in the same
 * way.
 */
const startFailed = z.strictObject({
  kind: z.literal("startFailed"),
  why: errorText,
  isFinal: z.boolean(),
});
/** `peakBytes`: the most that the process held since its last proof began. */
const heartbeat = z.strictObject({
  kind: z.literal("heartbeat"),
  residentBytes,
  peakBytes: residentBytes,
});
/** One of the `parse…` functions below checks `value` against the request with this id. */
const done = z.strictObject({
  kind: z.literal("done"),
  id,
  value: z.unknown(),
});
const failed = z.strictObject({
  kind: z.literal("failed"),
  id,
  /**
   * `refused`: the input is at fault. `internal`: the library is, so the process is replaced.
   * `memory`: so it is, as the library says that memory ran out.
   */
  failure: z.enum(["refused", "memory", "internal"]),
  message: errorText,
});
const fromChild = z.discriminatedUnion("kind", [ready, startFailed, heartbeat, done, failed]);

export type ChildDescription = z.infer<typeof description>;
export type ChildReply = z.infer<typeof done> | z.infer<typeof failed>;
export type FromChild = z.infer<typeof fromChild>;

/** Thrown for a message that no correct sender on the other end of the pipe would send. */
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

/** Checks a message from the service. Throws `GarbledMessageError`. */
export function parseToChild(value: unknown): ToChild {
  return parse(toChild, value, "message from the service");
}

/** Checks a message from the child, except a reply's value. Throws `GarbledMessageError`. */
export function parseFromChild(value: unknown): FromChild {
  return parse(fromChild, value, "message from the prover");
}

const verdicts = z.array(z.enum(["ok", "bad_signature", "wrong_leaf"]));

/** Checks that there is exactly one verdict for each key. Throws `GarbledMessageError`. */
export function parseVerdicts(value: unknown, keyCount: number): z.infer<typeof verdicts> {
  // The length comes first: it bounds the work of the rest.
  if (!Array.isArray(value) || value.length !== keyCount) {
    throw new GarbledMessageError(`garbled reply: expected ${keyCount} verdicts`);
  }
  return parse(verdicts, value, "verdicts");
}

/** Checks that the value is a boolean. Throws `GarbledMessageError`. */
export function parseBoolean(value: unknown): boolean {
  return parse(z.boolean(), value, "answer");
}

/** Checks a proof's length and copies it off the pipe's buffer. Throws `GarbledMessageError`. */
export function parseProof(value: unknown, proofBytesMax: number): Uint8Array {
  const proof = parse(bytes, value, "proof");
  if (proof.length === 0 || proof.length > proofBytesMax) {
    throw new GarbledMessageError(
      `the proof has ${proof.length} bytes, expected 1 to ${proofBytesMax}`,
    );
  }
  return new Uint8Array(proof);
}
