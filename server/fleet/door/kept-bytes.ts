/**
 * Bytes that one lane host may fetch from this door: the work of its attempts, and what it is asked
 * to verify. They count in the service's memory budget until they are released.
 */
import type { MemoryBudget } from "../../memory-budget.js";
import { Blobs } from "../wire/blobs.js";
import { FetchQuota } from "../wire/fetch-quota.js";
import type { Blob } from "../wire/messages.js";

export interface Kept {
  readonly blob: Blob;
  /** Idempotent. */
  release(): void;
}

export class KeptBytes {
  private readonly blobs = new Blobs(Infinity);
  /** What may still be fetched of each blob. */
  private readonly quotas = new Map<string, FetchQuota>();

  constructor(
    private readonly memory: MemoryBudget,
    private readonly changed: (moreBytes: number) => void,
  ) {}

  /** Keeps the bytes until they are released. Undefined when no memory is free for them. */
  keep(bytes: Uint8Array): Kept | undefined {
    const share = this.memory.reserve(bytes.length);
    const kept = share && this.blobs.keep(bytes);
    if (share === undefined || kept === undefined) {
      share?.release();
      return undefined;
    }
    const { blob } = kept;
    this.quotas.set(blob.sha256, new FetchQuota(bytes.length));
    this.changed(bytes.length);
    let isReleased = false;
    const release = () => {
      if (isReleased) return;
      isReleased = true;
      kept.release();
      share.release();
      this.changed(-bytes.length);
      // Equal bytes may be kept for another attempt.
      if (this.blobs.chunk(blob.sha256, 0).length === 0) this.quotas.delete(blob.sha256);
    };
    return { blob, release };
  }

  /** The chunk; empty when the bytes are not kept, or were fetched too often. */
  chunk(sha256: string, offset: number): Uint8Array {
    const chunk = this.blobs.chunk(sha256, offset);
    return this.quotas.get(sha256)?.take(chunk) ?? new Uint8Array(0);
  }
}
