/** Random moments that can be had again: the seed is printed, and `CHAOS_SEED` sets it. */
import { randomInt } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";

export class ChaosRandom {
  private state: number;

  constructor(title: string) {
    this.state = Number(process.env.CHAOS_SEED ?? randomInt(2 ** 31));
    process.stdout.write(`${title}: CHAOS_SEED=${String(this.state)}\n`);
  }

  /** An integer from `min` up to but not including `max` (mulberry32). */
  between(min: number, max: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    const unit = ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    return Math.floor(min + unit * (max - min));
  }

  /** Lets a random time pass: the moment of a fault, not a wait for anything. */
  async moment(msMin: number, msMax: number): Promise<void> {
    await delay(this.between(msMin, msMax));
  }
}
