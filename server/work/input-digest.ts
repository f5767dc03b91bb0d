/** What makes the work of two groups the same. */
import { createHash } from "node:crypto";
import type { GroupWork } from "./group.js";

/** SHA-256, in hexadecimal, of all that the prover sees, which excludes validator indices. */
export function inputDigest({
  message,
  raws,
  children,
  logInvRate,
}: Omit<GroupWork, "leftOut">): string {
  const hash = createHash("sha256");
  const add = (bytes: Uint8Array) => hash.update(`${bytes.length}:`).update(bytes);
  hash.update(`${logInvRate},${message.slot},`);
  for (const part of [message.root, raws.keys, raws.signatures]) add(part);
  for (const { keys, proof } of children) for (const part of [keys, proof]) add(part);
  return hash.digest("hex");
}
