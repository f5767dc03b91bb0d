/** Changes a byte of the work, keys or proof that a message of the engine carries. */
import type { Passage } from "../../../server/engine/memory-engine.js";
import { decodeToDoor, decodeToHost } from "../../../server/fleet/wire/codec.js";
import type { Random } from "../random.js";

/** Changes one byte of the message in place. Returns false when it carries no such bytes. */
export function lie(passage: Passage, random: Random): boolean {
  const all = carriedBy(passage).filter(({ length }) => length > 0);
  if (all.length === 0) return false;
  const carried = random.pick(all);
  const at = Buffer.from(
    passage.bytes.buffer,
    passage.bytes.byteOffset,
    passage.bytes.length,
  ).indexOf(carried);
  if (at < 0) return false;
  const victim = at + random.whole(0, carried.length - 1);
  passage.bytes[victim] = (passage.bytes[victim] ?? 0) ^ (1 << random.whole(0, 7));
  return true;
}

/** The bytes that come along with the message and are named by their digest. */
function carriedBy({ subject, bytes }: Passage): Uint8Array[] {
  const [, , kind] = subject.split(".");
  if (kind === "host") {
    const message = decodeToHost(bytes);
    if (message.kind === "assign") return [message.assignment.work.inline ?? none];
    if (message.kind === "verify")
      return [message.keys.inline ?? none, message.proof.inline ?? none];
  }
  if (kind === "door") {
    const message = decodeToDoor(bytes);
    if (message.kind === "ended" && message.result.kind === "proved")
      return [message.result.proof.inline ?? none];
  }
  return [];
}

const none = new Uint8Array();
