/** Parts that several of the fleet's messages have. */
import { limits } from "../../../limits.js";
import type { KillCause } from "../../../lane/lane-messages.js";
import type { Blob, FetchRequest } from "../messages.js";
import { CHUNK_BYTES, FLEET_VERSION } from "../messages.js";
import { sha256 } from "../../../bytes.js";
import type { Kind } from "./fields.js";
import { field, literal, mapped, message, only, optional } from "./fields.js";
import { FleetMessageError, garbled, UnknownKindError } from "./fleet-message-error.js";
import { bytes, sha256Hex, u32, whole } from "./scalars.js";

const anyVersion = u32();

/** Our version; a reader takes those beside it too. */
export const versionKind: Kind<number> = {
  ...anyVersion,
  read: (reader) => checkedVersion(anyVersion.read(reader)),
  absent: () => garbled("is missing"),
};

function checkedVersion(value: number): number {
  if (value >= 1 && Math.abs(value - FLEET_VERSION) <= 1) return value;
  const detail = `is ${value}, expected ${FLEET_VERSION} or one beside it`;
  throw new FleetMessageError("", detail, value);
}

/**
 * What a message of this version says: the one of `members` that is there. A version beside ours may
 * have kinds that we do not know.
 */
export function said<T>(version: number, members: readonly (T | undefined)[]): T {
  if (version !== FLEET_VERSION && members.every((member) => member === undefined)) {
    throw new UnknownKindError("", `version ${version} says what is not known`);
  }
  return only(members);
}

/** Numbers of attempts, announcements and commands, which begin at 1. */
export const ordinal = whole(1);
export const lease = whole();

/** The scheduler's reasons, then the lane's own. */
export const stopReasons = ["fence", "cancelled", "preempted", "superseded", "draining"] as const;
export const killCauses: readonly KillCause[] = [
  ...stopReasons,
  ...(["wedged", "memory", "restart", "closed"] as const),
];

/** A blob of 1 to `sizeMax` bytes. Those that came along are the ones that it names. */
export function blob(sizeMax: number): Kind<Blob> {
  const inline = bytes(1, Math.min(sizeMax, CHUNK_BYTES));
  const fields = message<Blob>({
    sha256: field(1, sha256Hex),
    size: field(2, u32(1, sizeMax)),
    inline: optional(3, inline),
  });
  return mapped<Blob, Blob>(fields, checkedBlob, (value) => value);
}

function checkedBlob(value: Blob): Blob {
  const { inline, size } = value;
  if (inline === undefined) return value;
  if (inline.length !== size) garbled(`has ${inline.length} bytes, its size is ${size}`);
  if (hexOf(sha256(inline)) !== value.sha256) garbled("has bytes of another SHA-256");
  return value;
}

const hexOf = (value: Uint8Array) => Buffer.from(value).toString("hex");

export const proofBlob = blob(limits.proofBytesMax);

const offset: Kind<number> = (() => {
  const kind = u32(0, limits.snapshotBytesMax);
  return {
    ...kind,
    read: (reader) => {
      const value = kind.read(reader);
      return value % CHUNK_BYTES === 0 ? value : garbled(`is ${value}, no multiple of a chunk`);
    },
  };
})();

export const fetchRequest = message<FetchRequest>({
  kind: literal("fetch"),
  sha256: field(1, sha256Hex),
  offset: field(2, offset),
});
