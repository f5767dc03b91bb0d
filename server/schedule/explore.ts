/**
 * When a first group that comes to an idle device is tried though it is predicted to miss, so that
 * no shape is locked out by bad samples: one in five minutes, and only of a shape of which none was
 * proved or tried in ten. What has waited is late, and its shape not locked out.
 */
import type { Shape } from "../work/shape.js";

const EVERY_MS = 300_000;
const SHAPE_EVERY_MS = 600_000;

export class Tries {
  private lastMs = -Infinity;
  /** When a proof of each shape ended well, or was tried; bounded, for shapes are rough. */
  private readonly seenMs = new Map<string, number>();

  mayTry(shape: Shape, nowMs: number): boolean {
    const seenMs = this.seenMs.get(roughly(shape)) ?? -Infinity;
    return nowMs >= this.lastMs + EVERY_MS && nowMs >= seenMs + SHAPE_EVERY_MS;
  }

  tried(shape: Shape, nowMs: number): void {
    this.lastMs = nowMs;
    this.proved(shape, nowMs);
  }

  proved(shape: Shape, nowMs: number): void {
    this.seenMs.set(roughly(shape), nowMs);
  }
}

/** One name for shapes that cost about the same: raw signatures within a factor of two. */
function roughly({ raws, children }: Shape): string {
  return `${Math.clz32(raws)} ${children}`;
}
