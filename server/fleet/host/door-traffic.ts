/**
 * What a lane host hears of doors: who of them was heard, how many messages each may send, and what
 * no correct door does, which is counted and logged once a minute.
 */
import type { Clock } from "../../clock.js";
import { limits } from "../../limits.js";
import type { Logger } from "../../log/log.js";
import { RareLog } from "../../log/rare-log.js";
import { FleetMessageError, UnknownKindError } from "../wire/codec.js";
import type { HostMetrics } from "./host-metrics.js";

/** A door that was not heard for so long counts no more. */
const HEARD_MS = 60_000;

interface Heard {
  readonly heardAtMs: number;
  /** Messages that it may still send, as of `heardAtMs`. */
  readonly left: number;
}

export interface DoorTrafficModules {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: HostMetrics;
}

export class DoorTraffic {
  private readonly doors = new Map<string, Heard>();
  private readonly rare: RareLog;

  constructor(private readonly modules: DoorTrafficModules) {
    this.rare = new RareLog(modules);
    modules.metrics.doors.readBy(() => this.heardNow());
  }

  /** Decodes a message of the door. Undefined when it is not taken: that is counted. */
  take<Message>(
    door: string,
    bytes: Uint8Array,
    decode: (bytes: Uint8Array) => Message,
  ): Message | undefined {
    const { metrics } = this.modules;
    if (!this.mayTake(door)) {
      metrics.faults.inc({ fault: "flood" });
      const most = limits.fleetMessagesPerSecond;
      this.rare.warn(`flood ${door}`, { door, most }, "a service sends too many messages");
      return undefined;
    }
    try {
      return decode(bytes);
    } catch (error) {
      if (!(error instanceof FleetMessageError)) throw error;
      // A newer door may send what only newer hosts know.
      if (error instanceof UnknownKindError) return undefined;
      const { otherVersion } = error;
      if (otherVersion === undefined) this.fault(door, error.message);
      else {
        metrics.faults.inc({ fault: "version" });
        const text = "a service of another version is left out";
        this.rare.warn(`version ${door}`, { door, version: otherVersion }, text);
      }
      return undefined;
    }
  }

  /** Notes a message that no correct door sends. */
  fault(door: string, detail: string): void {
    this.modules.metrics.faults.inc({ fault: "garbage" });
    this.rare.warn(
      `garbage ${door}`,
      { door, cause: detail },
      "a service sends what is no message",
    );
  }

  private mayTake(door: string): boolean {
    const most = limits.fleetMessagesPerSecond;
    const nowMs = this.modules.clock.nowMs();
    const before = this.doors.get(door) ?? { heardAtMs: nowMs, left: most };
    const filled = Math.min(most, before.left + ((nowMs - before.heardAtMs) * most) / 1000);
    const isTaken = filled >= 1;
    // Again at the end: the first is the one that was heard longest ago.
    this.doors.delete(door);
    this.doors.set(door, { heardAtMs: nowMs, left: isTaken ? filled - 1 : filled });
    const [first] = this.doors.keys();
    if (this.doors.size > limits.doorsMax && first !== undefined) this.doors.delete(first);
    return isTaken;
  }

  private heardNow(): number {
    const sinceMs = this.modules.clock.nowMs() - HEARD_MS;
    return [...this.doors.values()].filter(({ heardAtMs }) => heardAtMs >= sinceMs).length;
  }
}
