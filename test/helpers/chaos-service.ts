/**
 * A scratch place of its own for the services of a chaos test, with the real prover or a faulty one:
 * it starts them, and looks from outside at what they left behind.
 */
import { randomUUID } from "node:crypto";
import { closeSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { vi } from "vitest";
import { loadAddon } from "../../native/addon.js";
import type { BackendOptions } from "../../server/prover/backend-file.js";
import { deviceLockPath } from "../../server/prover/device.js";
import { allProcesses } from "./processes.js";
import { ServiceProcess } from "./service-process.js";

const DEVICE = "chaos";
/** Nothing here takes longer, on a loaded machine either. */
export const WAIT_MS_MAX = 60_000;

/** As `vi.waitUntil`, with a limit for a loaded machine: the value once it is there. */
export function until<T>(look: () => T | Promise<T>): Promise<NonNullable<Exclude<T, false>>> {
  return vi.waitUntil(look, { timeout: WAIT_MS_MAX, interval: 10 }) as Promise<
    NonNullable<Exclude<T, false>>
  >;
}

/** Folder, socket and device that services of one test share, one after the other or at once. */
export class Site {
  readonly folder = mkdtempSync(join(tmpdir(), "lean-chaos-"));
  readonly socket = join(this.folder, "grpc.sock");
  /** In the environment of every process of this site. */
  private readonly mark = `CHAOS_MARK=${randomUUID()}`;

  /** Without a backend: the real one. */
  constructor(private readonly backend?: BackendOptions) {}

  get address(): string {
    return `unix:${this.socket}`;
  }

  /** Returns at once; `settings` are LEAN_AGGREGATOR_* variables. */
  spawn(settings: Record<string, string> = {}): ServiceProcess {
    return ServiceProcess.spawn({ env: this.environment(settings) });
  }

  /** Resolves once active prover and standby are set up. */
  async start(settings: Record<string, string> = {}): Promise<ServiceProcess> {
    const service = this.spawn(settings);
    await service.fullStrength(settings.LEAN_AGGREGATOR_STANDBY === "0" ? 1 : 2);
    return service;
  }

  private environment(settings: Record<string, string>): Record<string, string> {
    const [name = "", value = ""] = this.mark.split("=");
    const device = { id: DEVICE, nice: 5, env: { [name]: value } };
    const devices = [this.backend === undefined ? device : { ...device, backend: this.backend }];
    return {
      [name]: value,
      LEAN_AGGREGATOR_DEVICES: JSON.stringify(devices),
      LEAN_AGGREGATOR_LOCK_DIR: this.folder,
      LEAN_AGGREGATOR_LISTEN: this.address,
      LEAN_AGGREGATOR_STANDBY: "1",
      ...settings,
    };
  }

  /** Every process of this site that lives, services and provers, orphans too. */
  processes(): number[] {
    return allProcesses().filter((pid) => {
      try {
        const environment = readFileSync(`/proc/${pid}/environ`, "latin1");
        return environment.split("\0").includes(this.mark);
      } catch {
        return false; // it has ended since it was listed, or is none of ours
      }
    });
  }

  /** Takes the device's lock, and gives it back at once. */
  isLockFree(): boolean {
    const addon = loadAddon();
    const fd = addon.lockFile(deviceLockPath(this.folder, DEVICE));
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
    rmSync(this.folder, { recursive: true, force: true });
  }
}
