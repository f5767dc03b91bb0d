/**
 * Runs the lanes: keeps one prover a device alive, hands an idle lane the next group, and reports
 * how it ended. The seam to where proving happens; whoever owns the sessions supplies the jobs.
 */
import type { Clock } from "../clock.js";
import type { Logger } from "../log.js";
import type { Metrics } from "../metrics.js";
import type { Prover, ProverDescription, StartProver } from "../prover/prover.js";
import type { CostModel } from "./cost.js";
import { freshCostModel, learn, predictMs } from "./cost.js";
import type { GroupWork, ProofResult } from "./group.js";
import type { LaneEvent, LaneState } from "./lane.js";
import { transitionLane } from "./lane.js";
import { proveGroup } from "./prove-group.js";

/** One group that may start, with the session's instants and whom to tell. */
export interface Job {
  work: GroupWork;
  deadlineAtMs: number;
  fenceAtMs: number;
  /** An idle device always tries a node's first group, whatever is predicted. */
  isFirstOfSession: boolean;
  started(attempt: number): void;
  finished(attempt: number, result: ProofResult): void;
}

interface Lane {
  id: string;
  state: LaneState;
  prover: Prover | undefined;
  cost: CostModel;
}

export interface DispatcherModules {
  startProver: StartProver;
  clock: Clock;
  log: Logger;
  metrics: Metrics;
}

export class Dispatcher {
  private readonly lanes: Lane[];
  private nextAttempt = 1;
  private isClosed = false;
  private description: ProverDescription | undefined;
  private readonly cancelTimers = new Set<() => void>();
  private nextJob: () => Job | undefined = () => undefined;

  constructor(
    options: { deviceIds: readonly string[] },
    private readonly modules: DispatcherModules,
  ) {
    this.lanes = options.deviceIds.map((id) => ({
      id,
      state: { kind: "starting", failures: 0 },
      prover: undefined,
      cost: freshCostModel,
    }));
  }

  /** Starts every lane; resolves once one is up or all have failed for now. */
  async start(nextJob: () => Job | undefined): Promise<void> {
    this.nextJob = nextJob;
    await Promise.all(this.lanes.map((lane) => this.startProver(lane)));
  }

  /** Offers idle lanes work; called whenever a job may have come up. */
  wake(): void {
    if (this.isClosed) return;
    for (const lane of this.lanes) {
      if (lane.state.kind !== "idle" || lane.prover === undefined) continue;
      const job = this.nextJob();
      if (job === undefined) return;
      void this.run(lane, lane.prover, job);
    }
  }

  /** What the provers are; undefined until the first is up. */
  describe(): ProverDescription | undefined {
    return this.description;
  }

  devices(): {
    id: string;
    state: LaneState;
    pid: number | undefined;
    cost: CostModel;
    residentBytes: number;
  }[] {
    return this.lanes.map(({ id, state, prover, cost }) => ({
      id,
      state,
      pid: prover?.pid,
      cost,
      residentBytes: prover?.residentBytes() ?? 0,
    }));
  }

  get isUp(): boolean {
    return this.lanes.some(({ state }) => state.kind === "idle" || state.kind === "proving");
  }

  /** Predicted milliseconds for a proof of this shape on the best lane. */
  predictMs(raws: number, children: number): number {
    return Math.min(...this.lanes.map(({ cost }) => predictMs(cost, raws, children)));
  }

  /** A living prover, to verify with; undefined when none is up. */
  verifier(): Prover | undefined {
    return this.lanes.find(({ state }) => state.kind === "idle" || state.kind === "proving")
      ?.prover;
  }

  /** Kills every prover and waits until all have ended. Idempotent. */
  async close(): Promise<void> {
    this.isClosed = true;
    for (const cancel of this.cancelTimers) cancel();
    await Promise.all(
      this.lanes.map(async (lane) => {
        this.step(lane, { kind: "stop" });
        await lane.prover?.exited;
      }),
    );
  }

  private async run(lane: Lane, prover: Prover, job: Job): Promise<void> {
    const { clock, metrics } = this.modules;
    const attempt = this.nextAttempt++;
    this.step(lane, { kind: "assign", attempt });
    job.started(attempt);
    let shape = { raws: 0, children: 0 };
    const result = await proveGroup(job.work, {
      prover,
      nowMs: () => clock.nowMs(),
      mayStart: (raws, children) => {
        shape = { raws, children };
        const nowMs = clock.nowMs();
        if (nowMs >= job.deadlineAtMs && !job.isFirstOfSession) return "deadline";
        const isPredictedMiss = nowMs + predictMs(lane.cost, raws, children) >= job.fenceAtMs;
        return isPredictedMiss && !job.isFirstOfSession ? "predicted_miss" : "yes";
      },
    });
    if (result.kind === "proved") {
      lane.cost = learn(lane.cost, shape.raws, shape.children, result.proveMs);
      metrics.proveSeconds.observe(result.proveMs / 1000);
    }
    job.finished(attempt, result);
    this.step(lane, { kind: "attempt_ended", attempt });
    this.wake();
  }

  private async startProver(lane: Lane): Promise<void> {
    const { log } = this.modules;
    try {
      const prover = await this.modules.startProver(lane.id);
      if (this.isClosed) {
        prover.kill();
        await prover.exited;
        return;
      }
      lane.prover = prover;
      this.description ??= prover.description;
      log.info({ device: lane.id, pid: prover.pid }, "prover ready");
      this.step(lane, { kind: "ready" });
      void prover.exited.then(({ detail }) => {
        lane.prover = undefined;
        if (this.isClosed) return;
        log.error({ device: lane.id, cause: detail }, "prover died; restarting it");
        this.modules.metrics.proverRestarts.inc({ cause: "died" });
        this.step(lane, { kind: "prover_exited", cause: detail });
      });
      this.wake();
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      log.error({ device: lane.id, cause }, "prover did not start");
      this.modules.metrics.proverRestarts.inc({ cause: "start_failed" });
      this.step(lane, { kind: "start_failed", cause });
    }
  }

  private step(lane: Lane, event: LaneEvent): void {
    const { clock } = this.modules;
    const { state, effects } = transitionLane(lane.state, event, clock.nowMs());
    lane.state = state;
    for (const effect of effects) {
      if (effect.kind === "kill") lane.prover?.kill();
      else if (effect.kind === "start_prover") void this.startProver(lane);
      else {
        const cancel = clock.at(effect.atMs, () => {
          this.cancelTimers.delete(cancel);
          this.step(lane, { kind: "retry" });
        });
        this.cancelTimers.add(cancel);
      }
    }
  }
}
