/** Changes a byte of the work, keys or proof that a message of the engine carries, also in chunks. */
import type { Passage } from "../../../server/engine/memory-engine.js";
import {
  decodeChunk,
  decodeToDoor,
  decodeToHost,
  FleetMessageError,
} from "../../../server/fleet/wire/codec.js";
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

/** The bytes of a blob's chunk, if this is the answer to a fetch; none if it is another message. */
export function chunkIn({ subject, bytes }: Passage): Uint8Array {
  if (!subject.startsWith("answer.")) return none;
  try {
    const chunk = decodeChunk(bytes);
    return chunk.length < CHUNK_BYTES_MIN ? none : chunk;
  } catch (error) {
    if (error instanceof FleetMessageError) return none;
    throw error;
  }
}

/** The bytes that come along with the message and are named by their digest. */
function carriedBy(passage: Passage): Uint8Array[] {
  const { subject, bytes } = passage;
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
  return [chunkIn(passage)];
}

const none = new Uint8Array();
/** Other answers are smaller. */
const CHUNK_BYTES_MIN = 10_000;
