/** What makes the work of two groups the same. */
import { createHash } from "node:crypto";
import type { SignedMessage } from "../../native/addon.js";
import type { ChildWork, Raws, SentWork } from "./group.js";
import type { ProofSystemName } from "./prover-description.js";
import { proofSystemOf } from "./prover-description.js";

/**
 * SHA-256, in hexadecimal, of the proof system's name and all that its prover sees, which excludes
 * validator indices. Equal bytes of two proof systems are two works.
 */
export function inputDigest(work: SentWork, of: ProofSystemName): string {
  const hash = createHash("sha256");
  const add = (bytes: Uint8Array) => hash.update(`${bytes.length}:`).update(bytes);
  const addMessage = ({ root, slot }: SignedMessage) => add(root).update(`${slot},`);
  const addRaws = ({ keys, signatures }: Raws) => void [keys, signatures].map(add);
  const addChild = ({ keys, proof }: ChildWork) => void [keys, proof].map(add);
  add(Buffer.from(proofSystemOf(of)));
  hash.update(`${work.kind},${work.logInvRate},`);
  if (work.kind === "fold") {
    addMessage(work.message);
    addRaws(work.raws);
    work.children.forEach(addChild);
    return hash.digest("hex");
  }
  // In the order of the components: it is that of the proof's claims.
  for (const { message, from } of work.components) {
    addMessage(message).update(`${from.kind},`);
    if (from.kind === "raws") addRaws(from.raws);
    else addChild(from.child);
  }
  return hash.digest("hex");
}
