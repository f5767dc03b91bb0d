/**
 * Bytes by their SHA-256: what a message names, and its receiver fetches in chunks if it did not come
 * along. The receiver trusts neither the length nor the bytes.
 */
import { createHash } from "node:crypto";
import { sha256 } from "../../bytes.js";
import type { Clock } from "../../clock.js";
import { EngineError } from "../../engine/engine.js";
import { decodeChunk, FleetMessageError } from "./codec.js";
import type { Blob, FetchRequest } from "./messages.js";
import { CHUNK_BYTES } from "./messages.js";

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

/** Keeps bytes for those who fetch them, by SHA-256; equal bytes are kept once. */
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

/** Asks the sender of a blob: resolves with the encoded `Chunk`, rejects with `EngineError`. */
export type RequestChunk = (fetch: FetchRequest, timeoutMs: number) => Promise<Uint8Array>;

/** Chunks that are asked for at once: the next are on their way while one is copied. */
const WINDOW = 4;
/** Time for the answer to one request; each retry has twice the time before. */
const TIMEOUT_MS = 500;
const TIMEOUT_MS_MAX = 4000;
/** Nobody listens at the sender for so long: it has ended, and another will have to give the bytes. */
const NOBODY_MS = 1000;
/** Time before a request is sent again when the engine could not deliver it. */
const RETRY_MS = 100;

/**
 * Returns the blob's bytes: those that came along, which decoding has checked, or fetched ones, checked
 * here. Lost chunks are asked for again until the deadline. Rejects with `FetchError`.
 */
export async function fetchBlob(
  blob: Blob,
  request: RequestChunk,
  options: FetchOptions,
): Promise<Uint8Array> {
  if (blob.inline !== undefined) return blob.inline;
  const ended = new AbortController();
  const fetching = new Fetching(blob, request, options.clock, ended.signal);
  try {
    return await Promise.race([fetching.all(), untilStopped(options, ended.signal)]);
  } finally {
    ended.abort();
  }
}

/** Rejects when the deadline is there, or the signal is aborted; cleans up once `ended` is. */
function untilStopped(
  { clock, deadlineAtMs, signal }: FetchOptions,
  ended: AbortSignal,
): Promise<never> {
  return new Promise((_, reject) => {
    const late = () => reject(new FetchError("late", "not all bytes came by the deadline"));
    const stop = () => reject(new FetchError("stopped", "nobody needs the bytes any more"));
    const cancel = clock.at(deadlineAtMs, late);
    signal?.addEventListener("abort", stop, { once: true, signal: ended });
    ended.addEventListener("abort", cancel, { once: true });
    if (signal?.aborted === true) stop();
    else if (clock.nowMs() >= deadlineAtMs) late();
  });
}

/** One blob on its way. The length was checked by decoding: `limits` bounds each kind of blob. */
class Fetching {
  private readonly hash = createHash("sha256");
  private readonly bytes: Uint8Array;
  private readonly isThere: boolean[] = [];
  private asked = 0;
  private hashed = 0;
  /** Since when nobody listens at the sender; undefined while somebody does. */
  private nobodySinceMs: number | undefined;

  constructor(
    private readonly blob: Blob,
    private readonly request: RequestChunk,
    private readonly clock: Clock,
    private readonly ended: AbortSignal,
  ) {
    this.bytes = new Uint8Array(blob.size);
  }

  async all(): Promise<Uint8Array> {
    const chunks = Math.ceil(this.blob.size / CHUNK_BYTES);
    const workers = Array.from({ length: WINDOW }, async () => {
      while (this.asked < chunks && !this.ended.aborted) await this.take(this.asked++);
    });
    await Promise.all(workers);
    if (this.hash.digest("hex") === this.blob.sha256) return this.bytes;
    throw new FetchError("wrong", "the bytes have another SHA-256");
  }

  private async take(chunk: number): Promise<void> {
    const offset = chunk * CHUNK_BYTES;
    const bytes = await this.chunk(offset);
    if (bytes === undefined) return;
    if (bytes.length === 0) throw new FetchError("gone", "the sender no longer has the bytes");
    const expected = Math.min(CHUNK_BYTES, this.blob.size - offset);
    if (bytes.length !== expected) {
      throw new FetchError("wrong", `a chunk has ${bytes.length} bytes, expected ${expected}`);
    }
    this.bytes.set(bytes, offset);
    this.isThere[chunk] = true;
    while (this.isThere[this.hashed] === true) {
      const from = this.hashed++ * CHUNK_BYTES;
      this.hash.update(this.bytes.subarray(from, from + CHUNK_BYTES));
    }
  }

  /** Asks until there is an answer; undefined once the fetch has ended. */
  private async chunk(offset: number): Promise<Uint8Array | undefined> {
    const fetch: FetchRequest = { kind: "fetch", sha256: this.blob.sha256, offset };
    for (let timeoutMs = TIMEOUT_MS; !this.ended.aborted; timeoutMs *= 2) {
      try {
        const answer = await this.request(fetch, Math.min(timeoutMs, TIMEOUT_MS_MAX));
        this.nobodySinceMs = undefined;
        return decodeChunk(answer);
      } catch (error) {
        if (error instanceof FleetMessageError) throw new FetchError("wrong", error.message);
        if (!(error instanceof EngineError)) throw error;
        this.noteNobody(error.kind === "gone");
        if (error.kind !== "timeout") await this.pause();
      }
    }
    return undefined;
  }

  private noteNobody(isGone: boolean): void {
    if (!isGone) this.nobodySinceMs = undefined;
    else this.nobodySinceMs ??= this.clock.nowMs();
    const sinceMs = this.nobodySinceMs ?? Infinity;
    if (this.clock.nowMs() - sinceMs < NOBODY_MS) return;
    throw new FetchError("gone", "nobody listens at the sender of the bytes any more");
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      this.clock.at(this.clock.nowMs() + RETRY_MS, resolve);
    });
  }
}
