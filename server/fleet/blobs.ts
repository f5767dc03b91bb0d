/**
 * Bytes by their SHA-256: what a message names, and its receiver fetches in chunks if it did not come
 * along. The receiver trusts neither the length nor the bytes.
 */
import type { Clock } from "../clock.js";
import { sha256 } from "../bytes.js";
import type { Blob, FetchRequest } from "./messages.js";
import { CHUNK_BYTES } from "./messages.js";

const missing = (): never => {
  throw new Error("is not there yet");
};

/** Names the bytes; they come along if they fit into one chunk. */
export function blobOf(bytes: Uint8Array): Blob {
  const hex = Buffer.from(sha256(bytes)).toString("hex");
  const inline = bytes.length <= CHUNK_BYTES ? bytes : undefined;
  return { sha256: hex, size: bytes.length, inline };
}

interface Kept {
  readonly bytes: Uint8Array;
  users: number;
}

/** Keeps bytes for whoever fetches them, by SHA-256; equal bytes are kept once. */
export class Blobs {
  private readonly kept = new Map<string, Kept>();
  private heldBytesNow = 0;

  /** @param bytesMax most bytes kept, all blobs together */
  constructor(private readonly bytesMax: number) {}

  /** Sum of the sizes of the blobs kept. */
  get heldBytes(): number {
    return this.heldBytesNow;
  }

  /**
   * Keeps the bytes, which must not change, until `release` is called; that is idempotent. Returns
   * undefined when they would exceed `bytesMax`.
   */
  keep(bytes: Uint8Array): { readonly blob: Blob; release(): void } | undefined {
    const blob = blobOf(bytes);
    let kept = this.kept.get(blob.sha256);
    if (kept === undefined) {
      if (this.heldBytesNow + bytes.length > this.bytesMax) return undefined;
      kept = { bytes, users: 0 };
      this.kept.set(blob.sha256, kept);
      this.heldBytesNow += bytes.length;
    }
    kept.users++;
    return { blob, release: once(() => this.leave(blob.sha256)) };
  }

  /** The chunk at the offset; empty when the blob is not here, or has no such chunk. */
  chunk(sha256Hex: string, offset: number): Uint8Array {
    const { bytes = new Uint8Array() } = this.kept.get(sha256Hex) ?? {};
    return bytes.subarray(offset, offset + CHUNK_BYTES);
  }

  private leave(sha256Hex: string): void {
    const kept = this.kept.get(sha256Hex);
    if (kept === undefined || --kept.users > 0) return;
    this.kept.delete(sha256Hex);
    this.heldBytesNow -= kept.bytes.length;
  }
}

function once(act: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    act();
  };
}

/**
 * `gone`: the sender no longer has the blob. `late`: not all chunks came by the deadline. `wrong`: the
 * bytes have another length or SHA-256. `stopped`: the signal was aborted.
 */
export type FetchFailure = "gone" | "late" | "wrong" | "stopped";

export class FetchError extends Error {
  override readonly name = "FetchError";

  constructor(
    readonly kind: FetchFailure,
    message: string,
  ) {
    super(message);
  }
}

export interface FetchOptions {
  readonly clock: Clock;
  /** Instant at which the fetch fails as `late`. */
  readonly deadlineAtMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Returns the blob's bytes: those that came along, or fetched ones, checked against its SHA-256.
 * Rejects with `FetchError`.
 *
 * @param request asks the sender: resolves with the encoded `Chunk`, rejects with `EngineError`
 */
export const fetchBlob: (
  blob: Blob,
  request: (fetch: FetchRequest, timeoutMs: number) => Promise<Uint8Array>,
  options: FetchOptions,
) => Promise<Uint8Array> = missing;
