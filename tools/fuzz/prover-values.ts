/** Valid messages between the service and a prover process. */
import { serialize } from "node:v8";
import type { FromChild, ChildRequest } from "../../server/prover/messages.js";

export const description = {
  ...{ backend: "b", scheme: "s", revision: "r", publicKeyBytes: 32, signatureBytes: 64 },
  ...{ proofBytesMax: 1000, childrenMax: 4, messagesMax: 4, rates: 0 },
};
const message = { root: new Uint8Array(32).fill(7), slot: 7 };

export const fromChild: FromChild[] = [
  { kind: "ready", description, setupMs: 4000, residentBytes: 1e6 },
  { kind: "heartbeat", residentBytes: 1e6, peakBytes: 1e6 },
  { kind: "done", id: 1, value: ["ok", "bad_signature"] },
  { kind: "done", id: 2, value: true },
  { kind: "done", id: 3, value: new Uint8Array(100) },
  { kind: "failed", id: 1, failure: "refused", message: "no" },
  { kind: "failed", id: 2, failure: "internal", message: "no" },
  { kind: "startFailed", why: "no", isFinal: true },
];

/** Requests with two keys each, for a backend with these sizes. */
export function requests(keyBytes: number, signatureBytes: number): ChildRequest[] {
  const keys = new Uint8Array(2 * keyBytes).fill(1);
  const signatures = new Uint8Array(2 * signatureBytes).fill(2);
  const claim = { ...message, keys };
  const raws = { ...claim, signatures };
  const proof = { kind: "fold" as const, bytes: new Uint8Array(40), claims: [claim] };
  const other = { ...claim, slot: 8 };
  const merged = { kind: "merge" as const, bytes: new Uint8Array(40), claims: [claim, other] };
  const fold = {
    kind: "fold" as const,
    logInvRate: 0,
    raws: [raws],
    children: [],
    wanted: [claim],
  };
  const merge = { ...fold, kind: "merge" as const, children: [{ ...proof, claims: [other] }] };
  return [
    { kind: "verifySignatures", id: 1, raws },
    { kind: "verify", id: 2, proof },
    { kind: "verify", id: 3, proof: merged },
    { kind: "prove", id: 4, job: fold },
    { kind: "prove", id: 5, job: { ...fold, children: [proof], logInvRate: 1 } },
    { kind: "prove", id: 6, job: { ...merge, wanted: [claim, other] } },
  ];
}

/** The bytes that `writeMessage` puts on the pipe. */
export function framed(value: unknown): Buffer {
  const body = serialize(value);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}
