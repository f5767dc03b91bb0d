/**
 * What a door remembers of a lane host's lanes once the host has gone: those of which a result is still
 * verified, and the numbers of their attempts, whose results may come late.
 */
import type { RemoteLane } from "./remote-lane.js";

/** A result is late, and no fault, for so long after the lanes of its host have left. */
const LATE_MS = 10_000;
/** Times of leaving that are remembered. A host that goes more often within that time is at fault. */
const TIMES_MAX = 4;

/** The lanes of a host as they were when it went. */
interface Left {
  /** The run of the host. */
  readonly run: string;
  readonly attempts: ReadonlySet<number>;
  readonly atMs: number;
}

export class LeftLanes {
  /** Lanes of which a result is still verified, by device. */
  private readonly taking = new Map<string, RemoteLane>();
  private times: readonly Left[] = [];

  /** Whether nothing needs to be remembered. */
  isForgettable(nowMs: number): boolean {
    return this.taking.size === 0 && this.times.every(({ atMs }) => nowMs - atMs >= LATE_MS);
  }

  /** Whether a lane of this device is still there. */
  has(device: string): boolean {
    return this.taking.has(device);
  }

  /** Keeps a lane whose host has gone until its results are taken, and calls `taken` then. */
  add(lane: RemoteLane, taken: () => void): void {
    this.taking.set(lane.device, lane);
    lane.whenTaken(() => {
      this.taking.delete(lane.device);
      taken();
    });
  }

  /** Remembers the attempts of the lanes that leave in this run of the host. */
  note(run: string, attempts: readonly number[], nowMs: number): void {
    const left = { run, attempts: new Set(attempts), atMs: nowMs };
    this.times = [...this.times, left].slice(-TIMES_MAX);
  }

  /** Whether a lane that left lately in this run of the host had the attempt. */
  had(run: string, attempt: number, nowMs: number): boolean {
    this.times = this.times.filter(({ atMs }) => nowMs - atMs < LATE_MS);
    return this.times.some((left) => left.run === run && left.attempts.has(attempt));
  }

  /** Forgets all, and ends what is still verified. */
  close(): void {
    for (const lane of this.taking.values()) lane.close();
    this.taking.clear();
    this.times = [];
  }
}
