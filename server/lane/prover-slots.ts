/**
 * The prover processes of one lane, by the numbers that its state machine gives them: starts and
 * kills them, logs and counts how they end. Owned by the lane.
 */
import type { Logger } from "../log.js";
import type { Metrics } from "../metrics.js";
import type { Prover, ProverExit } from "../prover/prover.js";
import type { ProverDescription } from "../work/prover-description.js";
import type { Device } from "./device.js";
import type { KillCause, LaneProver, LaneRole } from "./lane-messages.js";
import type { HeldProver, LaneState } from "./lane-state.js";

const roles = ["active", "standby"] as const;

export interface ProverSlotsModules {
  log: Logger;
  metrics: Metrics;
  /** Why this service cannot use a prover of this description; undefined when it can. */
  refuse(description: ProverDescription): string | undefined;
  /** Called when a prover is set up and not refused. */
  onReady(number: number, prover: Prover): void;
  /** Called when a prover process has ended; `why` is for people. */
  onExited(number: number, why: string): void;
  roleOf(number: number): LaneRole;
}

export class ProverSlots {
  private readonly slots = new Map<number, { prover: Prover; killCause: KillCause | undefined }>();

  constructor(
    private readonly device: Device,
    private readonly modules: ProverSlotsModules,
  ) {}

  start(number: number): void {
    const { log, refuse, onReady } = this.modules;
    const prover = this.startProver(number);
    if (prover === undefined) return;
    this.slots.set(number, { prover, killCause: undefined });
    prover.ready.then(
      (description) => {
        const problem = refuse(description);
        if (problem === undefined) return onReady(number, prover);
        log.error({ device: this.device.id, pid: prover.pid, cause: problem }, "prover refused");
        prover.kill();
      },
      () => undefined, // `exited` reports the failed setup
    );
    void prover.exited.then((exit) => this.exited(number, exit));
  }

  /** Undefined when the system refuses to start a process: that is a start that failed. */
  private startProver(number: number): Prover | undefined {
    try {
      return this.device.startProver();
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      // In a later turn: the state machine is still carrying out the effect that starts it.
      setImmediate(() => this.exited(number, { cause: "start_failed", detail }));
      return undefined;
    }
  }

  /** Kills a prover; the cause of the first call is logged. No effect when it has ended. */
  kill(number: number, cause: KillCause): void {
    const slot = this.slots.get(number);
    if (slot === undefined) return;
    slot.killCause ??= cause;
    slot.prover.kill();
  }

  /** The prover with the number of `held`; undefined for null, and when its process has ended. */
  proverOf(held: HeldProver | null): Prover | undefined {
    return held === null ? undefined : this.slots.get(held.prover)?.prover;
  }

  /** As `proverOf`, but undefined unless the prover is set up and not killed. */
  readyProverOf(held: HeldProver | null): Prover | undefined {
    return held?.status === "ready" ? this.proverOf(held) : undefined;
  }

  /** The prover processes that live, the active one first. */
  list(state: LaneState): LaneProver[] {
    return roles.flatMap((role) => {
      const held = state[role];
      const prover = this.proverOf(held);
      if (held === null || prover === undefined) return [];
      const residentBytes = prover.residentBytes();
      return [{ role, pid: prover.pid, isReady: held.status === "ready", residentBytes }];
    });
  }

  updateMetrics(state: LaneState): void {
    const { proverResidentBytes, proverReady } = this.modules.metrics;
    const list = this.list(state);
    for (const role of roles) {
      const prover = list.find((each) => each.role === role);
      const labels = { device: this.device.id, role };
      proverResidentBytes.set(labels, prover?.residentBytes ?? 0);
      proverReady.set(labels, prover?.isReady === true ? 1 : 0);
    }
  }

  /** Resolves once every process that lives now has ended. */
  async allExited(): Promise<void> {
    await Promise.all([...this.slots.values()].map(({ prover }) => prover.exited));
  }

  private exited(number: number, exit: ProverExit): void {
    const { log, metrics, onExited, roleOf } = this.modules;
    const slot = this.slots.get(number);
    const killCause = slot?.killCause;
    const cause = killCause ?? (exit.cause === "killed_by_us" ? "refused" : exit.cause);
    const role = roleOf(number);
    this.slots.delete(number);
    const isOurs = killCause !== undefined && killCause !== "wedged";
    const line = {
      device: this.device.id,
      role,
      pid: slot?.prover.pid,
      cause,
      detail: exit.detail,
    };
    log[isOurs ? "info" : "error"](line, "prover ended");
    if (cause !== "closed") metrics.proverRestarts.inc({ cause });
    onExited(number, exit.detail);
  }
}
