/**
 * What the service makes of this machine's limits: how many connections nodes may have, how large
 * a standby may be, and how large a prover may grow. The memory limit can change while the
 * service runs (`systemctl set-property`, `docker update`), so it is read again from time to time.
 */
import type { Clock } from "./clock.js";
import type { Config } from "./config/config.js";
import type { LaneOptions } from "./lane/lane-events.js";
import { limits } from "./limits.js";
import type { Logger } from "./log/log.js";
import { nodeConnectionsMax } from "./machine/connections.js";
import type { Machine } from "./machine/machine.js";
import { proverThreads } from "./prover/device/cores.js";
import { bytesForStandby, proverCeilingBytes } from "./prover/device/device.js";

/** Peak memory of a prover of lean_pq with a few raw signatures, and the service's. */
export const MEMORY_BYTES_MIN = 1.25 * 1024 ** 3;

/** The settings that decide what the provers may take. */
type WatchedSettings = Pick<
  Config,
  "prover" | "devices" | "standby" | "proverMemoryMb" | "refreshPercent" | "leafRawsMax"
>;

export interface MachineWatchModules {
  clock: Clock;
  log: Logger;
  readMachine(): Machine;
}

export class MachineWatch {
  /** Changes with the memory limit. */
  readonly laneOptions: LaneOptions;
  readonly nodeConnectionsMax: number;
  private memoryBytes: number;
  private readonly isMemoryLimitRead: boolean;
  private cancel = () => {};

  /** Throws when the limit on open files is too low to serve. */
  constructor(
    private readonly config: WatchedSettings,
    private readonly modules: MachineWatchModules,
  ) {
    const machine = modules.readMachine();
    const { memoryBytes, openFilesMax } = machine;
    this.memoryBytes = memoryBytes;
    this.isMemoryLimitRead = machine.isMemoryLimitRead;
    this.laneOptions = laneOptionsOf(config, memoryBytes);
    this.nodeConnectionsMax = nodeConnectionsMax(openFilesMax, config.devices.length);
    modules.log.info(
      {
        ...this.memoryLine(),
        cores: machine.cores,
        cpuQuota: shown(machine.quotaCores),
        threads: threadsText(config, machine),
        openFiles: shown(openFilesMax),
        connections: this.nodeConnectionsMax,
      },
      "limits of this machine",
    );
    this.warnOfMemory();
    this.poll();
  }

  close(): void {
    this.cancel();
  }

  private poll(): void {
    const { clock, log, readMachine } = this.modules;
    this.cancel = clock.at(clock.nowMs() + limits.machinePollMs, () => {
      const { memoryBytes, isMemoryLimitRead } = readMachine();
      // Without a free descriptor nothing can be read: that is no change.
      const isKnown = isMemoryLimitRead || !this.isMemoryLimitRead;
      if (isKnown && memoryBytes !== this.memoryBytes) {
        this.memoryBytes = memoryBytes;
        Object.assign(this.laneOptions, laneOptionsOf(this.config, memoryBytes));
        log.warn(this.memoryLine(), "the memory limit has changed");
        this.warnOfMemory();
      }
      this.poll();
    });
  }

  /** What provers may take is in it only where there are devices to share the memory. */
  private memoryLine() {
    const { standbyBytesMax: standbyBytes, residentBytesMax } = this.laneOptions;
    const mb = (bytes: number) => Math.round(bytes / 1e6);
    if (this.config.devices.length === 0) return { memoryMb: mb(this.memoryBytes) };
    const standbyMemoryMb = standbyBytes === Infinity ? "any" : mb(standbyBytes);
    const proverMemoryMb = mb(residentBytesMax);
    return { memoryMb: mb(this.memoryBytes), standbyMemoryMb, proverMemoryMb };
  }

  private warnOfMemory(): void {
    if (!usesLeanPq(this.config) || this.memoryBytes >= MEMORY_BYTES_MIN) return;
    const neededMb = Math.round(MEMORY_BYTES_MIN / 1e6);
    this.modules.log.warn(
      { memoryMb: Math.round(this.memoryBytes / 1e6), neededMb },
      "too little memory for one prover, which the kernel will kill: raise the limit",
    );
  }
}

/** Whether some device proves with lean_pq, the backend that the service ships. */
export function usesLeanPq({ prover, devices }: Pick<Config, "prover" | "devices">): boolean {
  const isLeanPq = ({ backend, prover: own = "lean_pq" }: Config["devices"][number]) =>
    backend === undefined && own === "lean_pq";
  return prover !== "fake" && devices.some(isLeanPq);
}

/** A device keeps a standby that holds fewer bytes: 0 for none, Infinity for any. */
export function standbyBytesMax(config: WatchedSettings, memoryBytes: number): number {
  const { standby, devices } = config;
  if (standby !== "auto") return standby === "1" ? Infinity : 0;
  const proverBytesMax = residentBytesMax(config, memoryBytes);
  return Math.max(0, bytesForStandby(memoryBytes, devices.length, proverBytesMax));
}

/** How many bytes a prover of each device may hold. */
function residentBytesMax(config: WatchedSettings, memoryBytes: number): number {
  const { devices, proverMemoryMb } = config;
  const configured = proverMemoryMb === undefined ? undefined : proverMemoryMb * 1e6;
  return proverCeilingBytes(memoryBytes, devices.length, configured);
}

/** How large the standby of each lane may be, and how large its prover may grow, in this memory. */
function laneOptionsOf(config: WatchedSettings, memoryBytes: number): LaneOptions {
  return {
    standbyBytesMax: standbyBytesMax(config, memoryBytes),
    residentBytesMax: residentBytesMax(config, memoryBytes),
    refreshShare: config.refreshPercent / 100,
    leafRawsMax: config.leafRawsMax,
  };
}

/** Threads of the provers of each device, such as `cpu: 2`. */
export function threadsText({ devices }: WatchedSettings, machine: Machine): string {
  return devices
    .map((device) => `${device.id}: ${proverThreads(device, machine, devices)}`)
    .join(", ");
}

/** JSON has no Infinity. */
function shown(value: number): number | "none" {
  return value === Infinity ? "none" : value;
}
