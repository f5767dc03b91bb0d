/**
 * The lanes of this process, one for each device. Reports each lane to a listener, gives the
 * service a verifier, and metrics and tests the list of provers. All lanes must prove with the same
 * proof system.
 */
import type { Clock } from "../clock.js";
import type { Logger } from "../log/log.js";
import type { Metrics } from "../metrics/metrics.js";
import type { ProverDescription } from "../work/prover-description.js";
import type { Device } from "./device.js";
import { Lane } from "./lane.js";
import type { FromLane, LaneListener, LaneProver, Post } from "./lane-messages.js";
import type { LaneOptions } from "./lane-events.js";
import { ProofSystemChoice } from "./proof-system.js";
import type { Verifier } from "./verifier.js";
import { FailoverVerifier } from "./verifier.js";

/** A verifier, and the description of the provers that it asks. */
export interface ReadyVerifier {
  description: ProverDescription;
  verifier: Pick<Verifier, "verify">;
}

export interface LocalLanesModules {
  clock: Clock;
  log: Logger;
  metrics: Metrics;
  post: Post;
}

export class LocalLanes {
  readonly lanes: readonly Lane[];
  private readonly failover: FailoverVerifier;
  private readonly spare: FailoverVerifier;
  private hear: (deviceId: string, message: FromLane) => void = () => undefined;

  constructor(
    devices: readonly Device[],
    options: LaneOptions,
    private readonly modules: LocalLanesModules,
  ) {
    const { clock, log, metrics, post } = modules;
    const choice = new ProofSystemChoice(devices, log);
    this.lanes = devices.map((device) => {
      return new Lane(device, options, {
        clock,
        log,
        metrics,
        emit: (message) => post(message, (received) => this.hear(device.id, received)),
        admit: (description) => choice.admit(device.id, description),
        setupFailed: () => choice.setupFailed(device.id),
        waitsFor: () => choice.waitsFor(device.id),
      });
    });
    const provers = () => this.lanes.flatMap((lane) => lane.verifyingProvers());
    this.failover = new FailoverVerifier({ clock, metrics, provers });
    const spareProvers = () => this.lanes.flatMap((lane) => lane.spareProvers());
    this.spare = new FailoverVerifier({ clock, metrics, provers: spareProvers });
  }

  /**
   * Adds each lane to the listener, passes it their messages from now on, and begins to set provers
   * up. Returns at once. No lane of this process ever goes.
   */
  open(listener: LaneListener<FromLane>): void {
    const { post } = this.modules;
    this.hear = (deviceId, message) => listener.heard(deviceId, message);
    for (const lane of this.lanes) {
      listener.added({
        deviceId: lane.device.id,
        cores: lane.device.cores,
        send: (message) => post(message, (received) => lane.receive(received)),
      });
    }
    for (const lane of this.lanes) lane.open();
  }

  /** Verifies in any prover that is set up, each device's standby first; undefined without any. */
  verifier(): ReadyVerifier | undefined {
    const description = this.failover.describe();
    return description === undefined ? undefined : { description, verifier: this.failover };
  }

  /** As `verifier`, but only in provers that delay no proof by it. */
  spareVerifier(): ReadyVerifier | undefined {
    const description = this.spare.describe();
    return description === undefined ? undefined : { description, verifier: this.spare };
  }

  /** The prover processes that live, set up or not, the active one of a device first. */
  provers(): LaneProver[] {
    return this.lanes.flatMap((lane) => lane.provers());
  }

  /** Kills every prover and resolves once all processes have ended. Idempotent. */
  async close(): Promise<void> {
    await Promise.all(this.lanes.map((lane) => lane.close()));
  }
}
