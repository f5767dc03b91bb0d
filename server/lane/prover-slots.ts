/**
 * The prover processes of one lane, by the numbers that its state machine gives them: starts and
 * kills them, logs and counts how they end. Owned by the lane.
 */
import type { Logger } from "../log/log.js";
import type { Metrics } from "../metrics/metrics.js";
import type { Prover, ProverExit } from "../prover/prover.js";
import type { ProverDescription } from "../work/prover-description.js";
import type { Device } from "./device.js";
import type { KillCause, LaneProver, LaneRole } from "./lane-messages.js";
import type { HeldProver, LaneState } from "./lane-events.js";

interface Slot {
  readonly prover: Prover;
  /** The lane's first reason to kill the prover; undefined while it has none. */
  killCause: KillCause | "refresh" | undefined;
  /** Why the service cannot use the prover; undefined when it can, or while that is not known. */
  refusal: string | undefined;
}

/** Why a prover process has ended: the lane's reason to kill it, or else its own. */
type EndCause = ProverExit["cause"] | KillCause | "refresh";

const roles = ["active", "standby"] as const;

export interface ProverSlotsModules {
  log: Logger;
  metrics: Metrics;
  /** Why this prover, which is set up, cannot be used, for people; undefined when it can. */
  refusal(number: number, description: ProverDescription): string | undefined;
  /** Called when a prover is set up and not refused. */
  onReady(number: number, prover: Prover): void;
  /**
   * Called when a prover process has ended; `why` is for people. `refused`: another one of this library
   * would end in the same way.
   */
  onExited(number: number, why: string, cause: EndCause): void;
  roleOf(number: number): LaneRole;
}

export class ProverSlots {
  private readonly slots = new Map<number, Slot>();

  constructor(
    private readonly device: Device,
    private readonly modules: ProverSlotsModules,
  ) {}

  start(number: number): void {
    const prover = this.startProver(number);
    if (prover === undefined) return;
    const slot: Slot = { prover, killCause: undefined, refusal: undefined };
    this.slots.set(number, slot);
    prover.ready.then(
      (description) => this.admit(number, slot, description),
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

  private admit(number: number, slot: Slot, description: ProverDescription): void {
    // The process may have ended, or been killed, meanwhile.
    if (this.slots.get(number) !== slot || slot.killCause !== undefined) return;
    const refusal = this.modules.refusal(number, description);
    if (refusal === undefined) return this.modules.onReady(number, slot.prover);
    slot.refusal = refusal;
    slot.prover.kill();
  }

  /** Kills a prover; the cause of the first call is logged. No effect when it has ended. */
  kill(number: number, cause: KillCause | "refresh"): void {
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
    const { killCause, refusal } = slot ?? {};
    // A kill of ours without a cause of the lane follows a refusal.
    const own = exit.cause === "killed_by_us" ? "refused" : exit.cause;
    const cause: EndCause = killCause ?? own;
    const detail = refusal ?? exit.detail;
    const role = roleOf(number);
    this.slots.delete(number);
    const isOurs = killCause !== undefined && killCause !== "wedged";
    const line = {
      device: this.device.id,
      role,
      pid: slot?.prover.pid,
      cause,
      detail,
    };
    log[isOurs ? "info" : "error"](line, "prover ended");
    if (cause !== "closed") metrics.proverRestarts.inc({ cause });
    onExited(number, detail, cause);
  }
}
