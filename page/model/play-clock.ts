/** The instant of a recording that is shown: it goes on at a chosen speed, stops, and jumps. Pure. */

/** How many times as fast as it happened. */
export const SPEEDS = [0.25, 1, 4, 16, 60] as const;

/** Instants of the recording are in milliseconds; `nowMs` is the clock of who looks. */
export class PlayClock {
  speed = 1;
  private isOn = false;
  /** The instant that was shown at `sinceMs`. */
  private positionMs: number;
  private sinceMs = 0;

  constructor(
    readonly startMs: number,
    readonly endMs: number,
  ) {
    this.positionMs = startMs;
  }

  /** The instant to show: never before the start of the recording nor after its end. */
  at(nowMs: number): number {
    const goneMs = this.isOn ? Math.max(0, nowMs - this.sinceMs) * this.speed : 0;
    return Math.min(this.endMs, this.positionMs + goneMs);
  }

  isPlaying(nowMs: number): boolean {
    return this.isOn && this.at(nowMs) < this.endMs;
  }

  /** Goes on; at the end, from the start. */
  play(nowMs: number): void {
    const atMs = this.at(nowMs);
    this.seek(atMs >= this.endMs ? this.startMs : atMs, nowMs);
    this.isOn = true;
  }

  pause(nowMs: number): void {
    this.seek(this.at(nowMs), nowMs);
    this.isOn = false;
  }

  /** Shows this instant next, and goes on from it when it was going on; at the end it was not. */
  seek(atMs: number, nowMs: number): void {
    this.isOn = this.isPlaying(nowMs);
    this.positionMs = Math.min(this.endMs, Math.max(this.startMs, atMs));
    this.sinceMs = nowMs;
  }

  setSpeed(speed: number, nowMs: number): void {
    this.seek(this.at(nowMs), nowMs);
    this.speed = speed;
  }

  /** The next faster or slower of `SPEEDS`. */
  changeSpeed(by: 1 | -1, nowMs: number): void {
    const at = SPEEDS.findIndex((speed) => speed >= this.speed) + by;
    const speed = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, at))];
    if (speed !== undefined) this.setSpeed(speed, nowMs);
  }
}
