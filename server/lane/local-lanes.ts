/**
 * The lanes of this process, one for each device. Reports each lane to a listener, gives the
 * service verifiers, and metrics and tests the list of provers. Each lane may have a proof system of
 * its own.
 */
import type { Clock } from "../clock.js";
import type { Logger } from "../log/log.js";
import type { Metrics } from "../metrics/metrics.js";
import type { Prover } from "../prover/prover.js";
import type { ProverDescription } from "../work/prover-description.js";
import { proofSystemOf } from "../work/prover-description.js";
import type { Device } from "./device.js";
import { Lane } from "./lane.js";
import type { FromLane, LaneListener, LaneProver, Post } from "./lane-messages.js";
import type { LaneOptions } from "./lane-events.js";
import type { Verifier } from "./prove/verifier.js";
import { FailoverVerifier } from "./prove/verifier.js";

/** A verifier, and the description of the provers that it asks. */
export interface ReadyVerifier {
  description: ProverDescription;
  verifier: Pick<Verifier, "verify"> & Partial<Pick<FailoverVerifier, "settled">>;
}

export interface LocalLanesModules {
  clock: Clock;
  log: Logger;
  metrics: Metrics;
  post: Post;
}

export class LocalLanes {
  readonly lanes: readonly Lane[];
  private hear: (deviceId: string, message: FromLane) => void = () => undefined;

  constructor(
    devices: readonly Device[],
    options: LaneOptions,
    private readonly modules: LocalLanesModules,
  ) {
    const { clock, log, metrics, post } = modules;
    this.lanes = devices.map((device) => {
      return new Lane(device, options, {
        clock,
        log,
        metrics,
        emit: (message) => post(message, (received) => this.hear(device.id, received)),
      });
    });
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

  /**
   * Verifies in any prover of this proof system that is set up, each device's standby first; undefined
   * without any.
   *
   * @param system name of the proof system, as `proofSystemOf` writes it
   */
  verifier(system: string): ReadyVerifier | undefined {
    return this.verifierOf(system, (lane) => lane.verifyingProvers());
  }

  /** As `verifier`, but only in provers that delay no proof by it. Default: any proof system. */
  spareVerifier(system?: string): ReadyVerifier | undefined {
    return this.verifierOf(system, (lane) => lane.spareProvers());
  }

  private verifierOf(
    system: string | undefined,
    proversOf: (lane: Lane) => Prover[],
  ): ReadyVerifier | undefined {
    const { clock, metrics } = this.modules;
    const provers = () =>
      this.lanes.flatMap(proversOf).filter(({ description }) => {
        return system === undefined || proofSystemOf(description) === system;
      });
    const verifier = new FailoverVerifier({ clock, metrics, provers });
    const description = verifier.describe();
    return description === undefined ? undefined : { description, verifier };
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
