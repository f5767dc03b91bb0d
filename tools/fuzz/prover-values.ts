/** Messages between service and prover process as they should be. */
import { serialize } from "node:v8";
import type { FromChild, ChildRequest } from "../../server/prover/messages.js";

export const description = {
  ...{ backend: "b", scheme: "s", revision: "r", kinds: 1, publicKeyBytes: 32, signatureBytes: 64 },
  ...{ proofBytesMax: 1000, childrenMax: 4, rawsMax: 64, keyOrderMatters: false },
};
const message = { root: new Uint8Array(32).fill(7), slot: 7 };

export const fromHost: FromChild[] = [
  { type: "ready", description },
  { type: "heartbeat", residentBytes: 1e6 },
  { type: "reply", id: 1, ok: true, value: ["ok", "bad_signature"] },
  { type: "reply", id: 2, ok: true, value: true },
  { type: "reply", id: 3, ok: true, value: new Uint8Array(100) },
  { type: "reply", id: 1, ok: false, kind: "refused", message: "no" },
];

/** Of two keys each, for a backend with these sizes. */
export function requests(keyBytes: number, signatureBytes: number): ChildRequest[] {
  const keys = new Uint8Array(2 * keyBytes).fill(1);
  const signatures = new Uint8Array(2 * signatureBytes).fill(2);
  const claim = { proof: new Uint8Array(40), keys };
  const type = "request";
  return [
    { type, id: 1, op: "verifySignatures", message, keys, signatures },
    { type, id: 2, op: "verifyAggregate", message, claim },
    { type, id: 3, op: "aggregate", message, keys, signatures, children: [], logInvRate: 0 },
    { type, id: 4, op: "aggregate", message, keys, signatures, children: [claim], logInvRate: 1 },
  ];
}

/** As `writeMessage` puts it on the pipe. */
export function framed(value: unknown): Buffer {
  const body = serialize(value);
  const header = Buffer.alloc(4);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}
