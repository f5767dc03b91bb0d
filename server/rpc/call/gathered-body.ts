/**
 * What has arrived of a request's body. Each piece is copied into blocks: a client may send pieces
 * of one byte, and each would be an object that keeps in memory all that arrived together with it.
 * A byte is copied twice in all, however many pieces there are.
 */

/** Blocks double up to this size, so that a small request has small ones. */
const BLOCK_BYTES_MAX = 64 * 1024;

export class GatheredBody {
  private readonly fullBlocks: Buffer[] = [];
  private block = Buffer.alloc(0);
  /** Bytes of `block` that are used. */
  private used = 0;
  /** Bytes that have arrived. */
  length = 0;

  /** Bytes of memory that are taken. */
  get heldBytes(): number {
    return this.length - this.used + this.block.length;
  }

  add(piece: Buffer): void {
    for (let from = 0; from < piece.length;) {
      if (this.used === this.block.length) this.startBlock(piece.length - from);
      const copied = piece.copy(this.block, this.used, from);
      this.used += copied;
      this.length += copied;
      from += copied;
    }
  }

  /** The whole body. */
  whole(): Buffer {
    return Buffer.concat([...this.fullBlocks, this.block], this.length);
  }

  /** @param bytes what is to be added now */
  private startBlock(bytes: number): void {
    this.fullBlocks.push(this.block);
    this.block = Buffer.allocUnsafeSlow(Math.min(Math.max(bytes, this.length), BLOCK_BYTES_MAX));
    this.used = 0;
  }
}
