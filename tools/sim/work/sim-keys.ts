/** Messages and keys of the simulation, and by what its proofs are known. */
import type { SignedMessage } from "../../../native/addon.js";
import type { SentWork } from "../../../server/work/group.js";
import { messagesOf } from "../../../server/work/group.js";

export const KEY_BYTES = 4;

/** The root of the message of this name, of at most 32 bytes. */
export function rootNamed(name: string): Uint8Array {
  const root = new Uint8Array(32);
  Buffer.from(name).copy(root);
  return root;
}

/** Of each validator another key. */
export function keysOfSim(validators: readonly number[]): Uint8Array {
  const keys = new Uint8Array(validators.length * KEY_BYTES);
  validators.forEach((validator, at) => (keys[at * KEY_BYTES] = validator + 1));
  return keys;
}

/** What a proof of this work is known by: its messages in their order. */
export const workName = (work: SentWork): string => messagesName(messagesOf(work));

export function messagesName(messages: readonly Pick<SignedMessage, "root">[]): string {
  return messages.map(({ root }) => Buffer.from(root).toString("hex")).join("+");
}
