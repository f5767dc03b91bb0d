/**
 * Decides when a group is tried although it is predicted to miss its fence. Without such tries, a
 * few bad samples could keep a shape from ever being proved again. There is at most one try in five
 * minutes, and only of a shape that was not proved or tried in the last ten. `Attempts` asks only
 * for groups that found an idle device: a queued group misses because it waited, not by its shape.
 */
import { sizeName } from "../../work/shape.js";
import type { Shape } from "../../work/shape.js";

const EVERY_MS = 300_000;
const SHAPE_EVERY_MS = 600_000;

export class Exploration {
  private lastMs = -Infinity;
  /** When each rough shape (see `sizeName`) was last proved or tried; few rough shapes exist. */
  private readonly seenMs = new Map<string, number>();

  mayTry(shape: Shape, nowMs: number): boolean {
    const seenMs = this.seenMs.get(sizeName(shape)) ?? -Infinity;
    return nowMs >= this.lastMs + EVERY_MS && nowMs >= seenMs + SHAPE_EVERY_MS;
  }

  tried(shape: Shape, nowMs: number): void {
    this.lastMs = nowMs;
    this.proved(shape, nowMs);
  }

  proved(shape: Shape, nowMs: number): void {
    this.seenMs.set(sizeName(shape), nowMs);
  }
}
