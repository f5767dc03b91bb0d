/**
 * Inputs over which provers died. An input that has ended two provers is set aside until the latest
 * fence of its sessions, so that one snapshot cannot keep the device down. Beyond
 * `limits.setAsideMax` inputs, the one blamed longest ago is dropped.
 */
import { limits } from "../../limits.js";

export class SetAside {
  private readonly inputs = new Map<string, { deaths: number; untilMs: number }>();

  /** Adds `deaths` provers that died over this input, and remembers it until `untilMs` or later. */
  blame(digest: string, deaths: number, untilMs: number): void {
    const known = this.inputs.get(digest);
    this.inputs.delete(digest); // re-inserted below, as the most recent
    this.inputs.set(digest, {
      deaths: (known?.deaths ?? 0) + deaths,
      untilMs: Math.max(known?.untilMs ?? 0, untilMs),
    });
    const oldest = this.inputs.keys().next();
    if (this.inputs.size > limits.setAsideMax && !oldest.done) this.inputs.delete(oldest.value);
  }

  has(digest: string, nowMs: number): boolean {
    const known = this.inputs.get(digest);
    return known !== undefined && nowMs < known.untilMs && known.deaths >= limits.setAsideDeathsMax;
  }

  expire(nowMs: number): void {
    for (const [digest, { untilMs }] of this.inputs)
      if (nowMs >= untilMs) this.inputs.delete(digest);
  }

  get size(): number {
    return this.inputs.size;
  }
}
