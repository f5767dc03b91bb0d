/**
 * Which proof system the service proves with. The first configured device decides, never the one
 * that is ready first: a prover of another backend waits until the decision is made. Devices with
 * another proof system are refused, because proofs of two systems do not verify each other.
 */
import type { Logger } from "../log/log.js";
import type { ProverDescription } from "../work/prover-description.js";
import type { Device } from "./device.js";

interface Waiting {
  description: ProverDescription;
  answer(refusal: string | undefined): void;
}

export class ProofSystemChoice {
  private chosen: { deviceId: string; system: string } | undefined;
  /** Provers that are set up, by device. */
  private readonly waiting = new Map<string, Waiting>();
  /** Devices of which a setup has failed. */
  private readonly failed = new Set<string>();

  /** @param devices in their configured order */
  constructor(
    private readonly devices: readonly Pick<Device, "id" | "backend">[],
    private readonly log: Logger,
  ) {}

  /**
   * Resolves once the proof system is decided: to undefined when the described prover has it, else
   * to a text for people that says why the service cannot use the prover.
   */
  admit(deviceId: string, description: ProverDescription): Promise<string | undefined> {
    return new Promise((answer) => {
      this.waiting.set(deviceId, { description, answer });
      this.decide();
    });
  }

  /** Notes that a prover of the device could not be set up. */
  setupFailed(deviceId: string): void {
    this.failed.add(deviceId);
    this.decide();
  }

  /** The device that decides, while a prover of `deviceId` is set up and waits; else undefined. */
  waitsFor(deviceId: string): string | undefined {
    return this.waiting.has(deviceId) ? this.devices[0]?.id : undefined;
  }

  private decide(): void {
    const decider = this.devices.find(({ id }) => this.waiting.has(id) && this.mayDecide(id));
    const decides = decider && this.waiting.get(decider.id);
    if (this.chosen === undefined && decider !== undefined && decides !== undefined) {
      const system = proofSystemOf(decides.description);
      this.chosen = { deviceId: decider.id, system };
      this.log.info({ device: decider.id, proofSystem: system }, "the proof system is decided");
    }
    if (this.chosen === undefined) return;
    for (const [deviceId, { description, answer }] of this.waiting) {
      answer(this.refusal(deviceId, description, this.chosen));
    }
    this.waiting.clear();
  }

  /**
   * The first device decides, and so does a device with the same backend, which has the same proof
   * system. When the first cannot be set up, the next one with its library decides instead.
   */
  private mayDecide(deviceId: string): boolean {
    const [first] = this.devices;
    const own = this.devices.find(({ id }) => id === deviceId);
    if (first?.backend?.library !== own?.backend?.library) return false;
    if (first?.backend?.config === own?.backend?.config) return true;
    const before = this.devices.slice(
      0,
      this.devices.findIndex(({ id }) => id === deviceId),
    );
    const rivals = before.filter(({ backend }) => backend?.library === own?.backend?.library);
    return rivals.every(({ id }) => this.failed.has(id));
  }

  private refusal(
    deviceId: string,
    description: ProverDescription,
    { deviceId: decider, system }: { deviceId: string; system: string },
  ): string | undefined {
    const own = proofSystemOf(description);
    if (own === system) return undefined;
    if (deviceId === decider) {
      return (
        `its library now proves ${own}, but this service has proved ${system} since its start; ` +
        `restart the service to use the new library`
      );
    }
    return (
      `it proves ${own}, but this service proves ${system}, as device ${decider} decides; ` +
      `give the device the same backend, or run another service for it`
    );
  }
}

/** Scheme and revision as one text, which is equal for provers that verify each other's proofs. */
export function proofSystemOf({ scheme, revision }: ProverDescription): string {
  return `${scheme} ${revision}`;
}
