/**
 * Decides when a lane refreshes its learned costs with a small proof, and makes it: in idle time, where
 * the rhythm of the work leaves room, and for a bounded share of the device's time. Owned by the lane,
 * whose state machine has the last word: it refreshes only beside a ready standby, and when work comes
 * all the same, it kills the refreshing prover, and the standby takes over.
 */
import type { Clock } from "../../clock.js";
import type { Metrics } from "../../metrics/metrics.js";
import type { Prover } from "../../prover/prover.js";
import type { LaneOptions } from "../lane-events.js";
import type { LearnedCosts, Refresh } from "./learned-costs.js";
import { gapBegan, gapEnded, noRhythm, quietMs } from "../../work/rhythm.js";

/** The share of so much time may be used at once. */
const SHARE_OF_MS = 1_200_000;
/** Proofs take up to this multiple of what is expected of them. */
const MARGIN = 1.25;
/** What a killed refresh costs beside its own time: a standby is set up again. */
const SETUP_MS = 5000;

export interface RefresherModules {
  clock: Clock;
  metrics: Metrics;
  costs: LearnedCosts;
}

export class Refresher {
  private rhythm = noRhythm;
  /** Milliseconds that refreshes may still take, as of `leftAtMs`; below 0 they wait. */
  private leftMs: number;
  private leftAtMs: number;
  private wasStopped = false;

  constructor(
    private readonly options: LaneOptions,
    private readonly modules: RefresherModules,
  ) {
    this.leftMs = this.options.refreshShare * SHARE_OF_MS;
    this.leftAtMs = modules.clock.nowMs();
  }

  /** Notes whether the lane waits for work, and whether a wait has ended because work came. */
  note(isWaiting: boolean, hasWork: boolean): void {
    const nowMs = this.modules.clock.nowMs();
    this.rhythm = isWaiting ? gapBegan(this.rhythm, nowMs) : gapEnded(this.rhythm, nowMs, hasWork);
  }

  /** The refresh that is due now, and ends before work is to be expected; undefined for none. */
  due(prover: Prover): Refresh | undefined {
    const { refreshShare, residentBytesMax } = this.options;
    const nowMs = this.modules.clock.nowMs();
    const earnedMs = refreshShare * (nowMs - this.leftAtMs);
    this.leftMs = Math.min(this.leftMs + earnedMs, refreshShare * SHARE_OF_MS);
    this.leftAtMs = nowMs;
    if (this.leftMs <= 0) return undefined;
    const refresh = this.modules.costs.refreshDue(prover, residentBytesMax);
    const hasRoom =
      refresh !== undefined && MARGIN * refresh.expectedMs < quietMs(this.rhythm, nowMs);
    return hasRoom ? refresh : undefined;
  }

  /**
   * Makes the refresh. Never rejects.
   *
   * @param giveUp called to kill the prover when its proof takes far too long
   */
  async run(prover: Prover, { shape }: Refresh, giveUp: () => void): Promise<void> {
    const { clock, metrics, costs } = this.modules;
    const startedAtMs = clock.nowMs();
    this.wasStopped = false;
    const ended = await costs.refresh(prover, shape, giveUp);
    const tookMs = clock.nowMs() - startedAtMs;
    const result = this.wasStopped ? "stopped" : ended;
    this.leftMs -= tookMs + (result === "stopped" || result === "failed" ? SETUP_MS : 0);
    metrics.refreshes.inc({ result });
    metrics.refreshSeconds.inc(tookMs / 1000);
  }

  /** Call it when the refreshing prover is killed, because work has come. */
  stop(): void {
    this.wasStopped = true;
  }
}
