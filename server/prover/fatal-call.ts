/**
 * A call in which a prover process died, as a file that `conformance --replay` reads; its layout stands
 * at the top of `native/conformance/replay.c`. Public keys, signatures and proofs are all that a call
 * holds of nodes.
 */
import { sha256 } from "../bytes.js";
import { functionOf } from "./end-of-child.js";
import type { ChildDescription, ChildQuestion } from "./messages.js";
import type { ClaimedProof, KeyClaim, ProofJob, SignedRaws } from "./prover.js";

const MAGIC = Buffer.from("LPCALL02");
/** Numbers of the calls in the file. */
const CALLS: Readonly<Record<ChildQuestion["kind"], number>> = {
  prove: 1,
  verify: 2,
  verifySignatures: 3,
};
/** Numbers of `lp_kind`. */
const KINDS: Readonly<Record<ProofJob["kind"], number>> = { fold: 1, merge: 2 };
/** Hexadecimal digits of the inputs' digest in a file's name. */
const DIGEST_DIGITS = 16;

export interface FatalCall {
  device: string;
  backend: { library: string; config: string };
  /** Threads that the library was given; 0: one for each core. */
  threads: number;
  description: ChildDescription;
  call: ChildQuestion;
  /** How the process ended, for people. */
  cause: string;
}

/** A file to write: the same call with the same inputs always has the same name. */
export interface FatalFile {
  name: string;
  bytes: Buffer;
}

/** @param unixMs when the process died */
export function fatalFile(fatal: FatalCall, unixMs: number): FatalFile {
  const { call, description } = fatal;
  const { publicKeyBytes, signatureBytes } = description;
  const body = Buffer.concat([
    ...[u32(publicKeyBytes), u32(signatureBytes), u32(CALLS[call.kind])],
    ...inputsOf(call, publicKeyBytes),
  ]);
  const digest = Buffer.from(sha256(body)).toString("hex").slice(0, DIGEST_DIGITS);
  const name = `${functionOf(call.kind).replace("lp_api.", "")}-${digest}.call`;
  return { name, bytes: Buffer.concat([headOf(fatal, unixMs), body]) };
}

function headOf(fatal: FatalCall, unixMs: number): Buffer {
  const { device, backend, threads, description, cause } = fatal;
  const texts = [
    ...[backend.library, backend.config, description.backend, description.scheme],
    ...[description.revision, device, cause, new Date(unixMs).toISOString()],
  ];
  return Buffer.concat([MAGIC, ...texts.map(text), u32(threads)]);
}

function inputsOf(call: ChildQuestion, keyBytes: number): Uint8Array[] {
  switch (call.kind) {
    case "prove":
      return jobParts(call.job, keyBytes);
    case "verify":
      return proofParts(call.proof, keyBytes);
    case "verifySignatures":
      return rawsParts(call.raws, keyBytes);
  }
}

function jobParts({ kind, logInvRate, raws, children, wanted }: ProofJob, keyBytes: number) {
  return [
    ...[u32(KINDS[kind]), u32(logInvRate)],
    ...[u32(raws.length), ...raws.flatMap((each) => rawsParts(each, keyBytes))],
    ...[u32(children.length), ...children.flatMap((each) => proofParts(each, keyBytes))],
    ...[u32(wanted.length), ...wanted.flatMap((each) => claimParts(each, keyBytes))],
  ];
}

function proofParts({ kind, bytes, claims }: ClaimedProof, keyBytes: number): Uint8Array[] {
  const attested = claims.flatMap((each) => claimParts(each, keyBytes));
  return [u32(KINDS[kind]), u32(bytes.length), bytes, u32(claims.length), ...attested];
}

function rawsParts(raws: SignedRaws, keyBytes: number): Uint8Array[] {
  return [...claimParts(raws, keyBytes), raws.signatures];
}

function claimParts({ root, slot, keys }: KeyClaim, keyBytes: number): Uint8Array[] {
  return [u32(slot), root, u32(keys.length / keyBytes), keys];
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u32(bytes.length), bytes]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
