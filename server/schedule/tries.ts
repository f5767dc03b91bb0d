/**
 * When a proof that is predicted to miss is tried all the same, so that no shape is locked out by
 * bad samples: once in five minutes, and no shape twice in a row within ten, or one that never fits
 * would take the try of every other.
 */
import type { Shape } from "./group.js";

const EVERY_MS = 300_000;

export class Tries {
  private last = { shape: "", atMs: -Infinity };

  mayTry(shape: Shape, nowMs: number): boolean {
    const { last } = this;
    return nowMs >= last.atMs + EVERY_MS * (roughly(shape) === last.shape ? 2 : 1);
  }

  tried(shape: Shape, nowMs: number): void {
    this.last = { shape: roughly(shape), atMs: nowMs };
  }
}

/** One name for shapes that cost about the same: raw signatures within a factor of two. */
function roughly([raws, children]: Shape): string {
  return `${Math.clz32(raws)} ${children}`;
}
