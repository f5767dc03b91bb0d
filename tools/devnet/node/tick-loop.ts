/**
 * Calls the node at each interval, and between them to take results, and times both. After a stall
 * (a proof on this thread, a frozen process) the ticks that were missed are caught up at once, in
 * order, as leanSpec's store does.
 */
import { dueUnixMs, tickAt, type SlotTime } from "./slot-time.js";

/** A proof that waits for the next interval comes too late for it at the other nodes. */
const TAKE_MS = 100;

export interface TickTime {
  tick: number;
  /** How long the call took, and how long after its time it began. */
  durationMs: number;
  lateMs: number;
}

export class TickLoop {
  #timer: NodeJS.Timeout | null = null;
  readonly #takeTimer: NodeJS.Timeout;
  #nextTick: number;

  /** `lastTick` is the last one called; then `onEnd`. */
  constructor(
    private readonly options: SlotTime & { lastTick: number },
    private readonly node: {
      onTick(tick: number): void;
      onTimed(time: TickTime): void;
      /** Returns whether there was anything. */
      takeResults(): boolean;
      onTaken(durationMs: number): void;
      onEnd(): void;
    },
  ) {
    this.#nextTick = Math.max(0, tickAt(options, Date.now()) + 1);
    this.#takeTimer = setInterval(() => this.#take(), TAKE_MS);
    this.#arm();
  }

  stop(): void {
    clearInterval(this.#takeTimer);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #arm(): void {
    const delayMs = Math.max(0, dueUnixMs(this.options, this.#nextTick) - Date.now());
    this.#timer = setTimeout(() => this.#run(), delayMs);
  }

  #take(): void {
    const startMs = performance.now();
    if (this.node.takeResults()) this.node.onTaken(performance.now() - startMs);
  }

  #run(): void {
    const nowTick = tickAt(this.options, Date.now());
    while (this.#nextTick <= Math.min(nowTick, this.options.lastTick)) {
      const tick = this.#nextTick++;
      const lateMs = Date.now() - dueUnixMs(this.options, tick);
      const startMs = performance.now();
      this.node.onTick(tick);
      this.node.onTimed({ tick, durationMs: performance.now() - startMs, lateMs });
    }
    if (this.#nextTick > this.options.lastTick) this.node.onEnd();
    else this.#arm();
  }
}
