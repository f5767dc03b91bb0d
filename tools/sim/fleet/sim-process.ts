/**
 * A process of the simulated fleet: its own monotonic clock, which is ahead and drifts, and its turns
 * of the event loop. It can be frozen, as by SIGSTOP: what is due then happens when it goes on. It
 * can be killed, as by SIGKILL: from then on nothing happens in it. Only `VirtualClock` knows true time.
 */
import type { Clock } from "../../../server/clock.js";
import type { VirtualClock } from "../virtual-clock.js";

export interface ProcessClockOptions {
  /** What the process's clock shows at the true instant 0, in milliseconds. */
  offsetMs: number;
  /** By how much the clock is faster than true time; 0.0002 is 200 ppm. */
  drift: number;
}

const ROUNDING_MS = 1e-6;

export class SimProcess {
  readonly clock: Clock;
  /** The process's timers that are set. */
  readonly timers = new Set<object>();
  private state: "running" | "frozen" | "dead" = "running";
  /** What became due while the process was frozen, in that order. */
  private due: (() => void)[] = [];
  private readonly mourners = new Set<() => void>();

  constructor(
    readonly name: string,
    private readonly time: VirtualClock,
    private readonly options: ProcessClockOptions,
  ) {
    this.clock = {
      nowMs: () => this.localOf(time.nowMs()),
      unixMs: () => time.unixMs(),
      at: (instantMs, callback) => this.at(instantMs, callback),
    };
  }

  get isRunning(): boolean {
    return this.state === "running";
  }

  get isDead(): boolean {
    return this.state === "dead";
  }

  /** The true instant of an instant of the process's clock. */
  trueOf(localMs: number): number {
    return (localMs - this.options.offsetMs) / (1 + this.options.drift);
  }

  /** Acts in a turn of its own, soon; never once the process is dead. */
  post(act: () => void): void {
    this.postIn(0, act);
  }

  /** Acts once this much true time has passed. */
  postIn(ms: number, act: () => void): void {
    this.time.at(this.time.nowMs() + ms, () => this.turn(act));
  }

  /** Acts at once if the process runs; when it goes on, if it is frozen. */
  turn(act: () => void): void {
    if (this.state === "running") act();
    else if (this.state === "frozen") this.due.push(act);
  }

  freeze(): void {
    if (this.state === "running") this.state = "frozen";
  }

  /** Goes on: what has become due happens now, one thing after the other. */
  thaw(): void {
    if (this.state !== "frozen") return;
    this.state = "running";
    const { due } = this;
    this.due = [];
    for (const act of due) this.post(act);
  }

  kill(): void {
    if (this.state === "dead") return;
    this.state = "dead";
    this.due = [];
    this.timers.clear();
    for (const mourn of [...this.mourners]) mourn();
    this.mourners.clear();
  }

  /** Calls `mourn` when the process is killed, unless the returned function was called before. */
  onDeath(mourn: () => void): () => void {
    this.mourners.add(mourn);
    return () => void this.mourners.delete(mourn);
  }

  private localOf(trueMs: number): number {
    return this.options.offsetMs + trueMs * (1 + this.options.drift);
  }

  private at(instantMs: number, callback: () => void): () => void {
    if (this.isDead) return () => undefined;
    const timer = {};
    let isCancelled = false;
    this.timers.add(timer);
    // So much late that the clock, converted back, is not before the instant by a rounding error.
    const cancel = this.time.at(this.trueOf(instantMs) + ROUNDING_MS, () =>
      this.turn(() => {
        if (isCancelled) return;
        this.timers.delete(timer);
        callback();
      }),
    );
    return () => {
      isCancelled = true;
      this.timers.delete(timer);
      cancel();
    };
  }
}
