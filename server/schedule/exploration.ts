/**
 * When a group is started although it is predicted to miss, so that bad samples lock no shape out:
 * once in five minutes, and only a shape of which none was proved or tried in ten. Only groups that
 * found an idle device qualify: a queued group misses because it waited, not because of its shape.
 */
import type { Shape } from "../work/shape.js";

const EVERY_MS = 300_000;
const SHAPE_EVERY_MS = 600_000;

export class Exploration {
  private lastMs = -Infinity;
  /** When each rough shape was last proved or tried; bounded, because shapes are rough. */
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

/** One name for shapes of similar cost: raw signatures within a factor of two. */
function roughly({ raws, children }: Shape): string {
  return `${Math.clz32(raws)} ${children}`;
}
