/** Valid messages between the service and a prover process. */
import { serialize } from "node:v8";
import type { FromChild, ChildRequest } from "../../server/prover/messages.js";

export const description = {
  ...{ backend: "b", scheme: "s", revision: "r", publicKeyBytes: 32, signatureBytes: 64 },
  ...{ proofBytesMax: 1000, childrenMax: 4, rates: 0 },
};
const message = { root: new Uint8Array(32).fill(7), slot: 7 };

export const fromChild: FromChild[] = [
  { kind: "ready", description, residentBytes: 1e6 },
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
  const claim = { proof: new Uint8Array(40), keys };
  const aggregate = { kind: "aggregate", message, keys, signatures, wanted: keys } as const;
  return [
    { kind: "verifySignatures", id: 1, message, keys, signatures },
    { kind: "verifyAggregate", id: 2, message, claim },
    { ...aggregate, id: 3, children: [], logInvRate: 0 },
    { ...aggregate, id: 4, children: [claim], logInvRate: 1 },
  ];
}

/** The bytes that `writeMessage` puts on the pipe. */
export function framed(value: unknown): Buffer {
  const body = serialize(value);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}
