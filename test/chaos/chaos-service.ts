/**
 * A scratch place of its own for the services of a chaos test, with the real prover or a faulty one:
 * it starts them, and looks from outside at what they left behind.
 */
import { randomUUID } from "node:crypto";
import { closeSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { vi } from "vitest";
import { loadAddon } from "../../native/addon.js";
import type { BackendOptions } from "../../server/prover/device/backend-file.js";
import { deviceLockPath } from "../../server/prover/device/device.js";
import { allProcesses } from "../../tools/harness/processes/processes.js";
import { ServiceProcess } from "../../tools/harness/processes/service-process.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

/** Nothing here takes longer, on a loaded machine either. */
const WAIT_MS_MAX = 60_000;

/** As `vi.waitUntil`, with a limit for a loaded machine: the value once it is there. */
export function until<T>(look: () => T | Promise<T>): Promise<NonNullable<Exclude<T, false>>> {
  return vi.waitUntil(look, { timeout: WAIT_MS_MAX, interval: 10 }) as Promise<
    NonNullable<Exclude<T, false>>
  >;
}

/** Folder, socket and device that services of one test share, one after the other or at once. */
export class Site {
  readonly folder = temporaryFolder();
  readonly socket = join(this.folder, "grpc.sock");
  /** Among the arguments of every prover of this site, as the folder is of every service. */
  readonly device = `chaos-${randomUUID().slice(0, 8)}`;

  /** Without a backend: the real one. `extra` goes into the device's configuration. */
  constructor(
    private readonly backend?: BackendOptions,
    private readonly extra: Record<string, unknown> = {},
  ) {}

  get address(): string {
    return `unix:${this.socket}`;
  }

  /** Returns at once; `settings` are environment variables. As another user: only from root. */
  spawn(
    settings: Record<string, string> = {},
    user: { uid?: number; gid?: number } = {},
  ): ServiceProcess {
    const flags = ["--runtime-dir", this.folder, "--state-dir", this.folder];
    return ServiceProcess.spawn({ env: this.environment(settings), flags, user });
  }

  /** Resolves once active prover and standby are set up. */
  async start(settings: Record<string, string> = {}): Promise<ServiceProcess> {
    const service = this.spawn(settings);
    await service.fullStrength(settings.LEAN_AGGREGATOR_STANDBY === "0" ? 1 : 2);
    return service;
  }

  private environment(settings: Record<string, string>): Record<string, string> {
    const device = { id: this.device, nice: 5, ...this.extra };
    const devices = [this.backend === undefined ? device : { ...device, backend: this.backend }];
    return {
      LEAN_AGGREGATOR_DEVICES: JSON.stringify(devices),
      LEAN_AGGREGATOR_LISTEN: this.address,
      LEAN_AGGREGATOR_STANDBY: "1",
      ...settings,
    };
  }

  /** Every process of this site that lives, services and provers, orphans too. */
  processes(): number[] {
    return allProcesses().filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        return words.includes(this.device) || words.includes(this.folder);
      } catch {
        return false; // it has ended since it was listed, or is not ours
      }
    });
  }

  /** Takes the device's lock, and gives it back at once. */
  isLockFree(): boolean {
    const addon = loadAddon();
    const fd = addon.lockFile(deviceLockPath(this.folder, this.device));
    if (fd < 0) return false;
    closeSync(fd);
    return true;
  }

  isSocketAnswered(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.socket, () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
  }

  /** What a service that has ended must not leave behind; empty when all is well. */
  async leftovers(): Promise<string[]> {
    const processes = this.processes().map((pid) => `process ${String(pid)}`);
    const lock = this.isLockFree() ? [] : ["the device's lock"];
    const socket = (await this.isSocketAnswered()) ? ["an answered socket"] : [];
    return [...processes, ...lock, ...socket];
  }

  /** For the end of a test, whatever has become of it. */
  dispose(): void {
    for (const pid of this.processes()) process.kill(pid, "SIGKILL");
  }
}
