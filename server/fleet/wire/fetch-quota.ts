/** How much of a blob one peer may fetch, so that nobody has the same bytes sent without end. */

/** How often the whole of a blob may be fetched: once, and again for answers that were lost. */
const FETCHES_MAX = 4;

export class FetchQuota {
  private leftBytes: number;

  /** @param size bytes of the blob */
  constructor(size: number) {
    this.leftBytes = size * FETCHES_MAX;
  }

  /** Takes the chunk from the quota and returns it; empty when it is more than what is left. */
  take(chunk: Uint8Array): Uint8Array {
    if (chunk.length > this.leftBytes) return new Uint8Array(0);
    this.leftBytes -= chunk.length;
    return chunk;
  }
}
