/**
 * Reports to the service manager that started this process, by the protocol of sd_notify(3): ready,
 * reloading, stopping, and that it still works. systemd restarts a process whose watchdog is not fed in
 * time; it is fed only while the event loop turns and nothing is stuck. Without NOTIFY_SOCKET nothing
 * is sent. Nothing here throws: a report that cannot be sent ends no service.
 */
import { loadAddon } from "../../native/addon.js";
import type { Clock } from "../../server/clock.js";
import { systemClock } from "../../server/clock.js";
import type { Logger } from "../../server/log/log.js";

type Env = Readonly<Record<string, string | undefined>>;

/** Most milliseconds between two looks at what is watched. */
const LOOK_EVERY_MS = 5000;

/** What runs, as the manager's watchdog and status see it. */
export interface Watched {
  /** What no longer goes on, for people; undefined while all does. */
  whyStuck(): string | undefined;
  /** Why it accepts no work now, for people; undefined when it does. */
  whyNotReady(): string | undefined;
}

export interface ServiceManagerModules {
  clock: Pick<Clock, "nowMs" | "at">;
  log: Logger;
  /** Sends one message. Throws when it cannot. */
  send(text: string): void;
  /** The system's monotonic clock in microseconds, by which systemd orders reloads. */
  monotonicUs(): bigint;
}

export class ServiceManager {
  private watched: Watched | undefined;
  private cancelLook = () => {};
  private status = "";
  /** Why the watchdog was not fed at the last look; undefined when it was. */
  private stuck: string | undefined;
  private isUnreachable = false;

  /**
   * @param watchdogMs the manager ends a process that is silent for longer; undefined: it never does
   * @param modules undefined without a manager
   */
  constructor(
    private readonly watchdogMs: number | undefined,
    private readonly modules: ServiceManagerModules | undefined,
  ) {}

  /** It has started: it listens, and its provers are being set up. Watches it from now on. */
  started(watched: Watched): void {
    if (this.modules === undefined) return;
    this.watched = watched;
    this.send(`READY=1\n${this.statusLine()}`);
    this.look();
  }

  reloading(): void {
    const { modules } = this;
    if (modules === undefined) return;
    this.send(`RELOADING=1\nMONOTONIC_USEC=${modules.monotonicUs()}`);
  }

  reloaded(): void {
    this.send(`READY=1\n${this.statusLine()}`);
  }

  /** It drains. The watchdog is fed on until `close`. */
  stopping(): void {
    this.send("STOPPING=1\nSTATUS=draining");
  }

  close(): void {
    this.cancelLook();
    this.watched = undefined;
  }

  /** Feeds the watchdog unless something is stuck, and looks again in less than half of its time. */
  private look(): void {
    const { modules, watched, watchdogMs = Infinity } = this;
    if (modules === undefined || watched === undefined) return;
    const { clock } = modules;
    this.cancelLook = clock.at(clock.nowMs() + Math.min(LOOK_EVERY_MS, watchdogMs / 3), () =>
      this.look(),
    );
    const before = this.stuck;
    this.stuck = watched.whyStuck();
    // After a time in which the whole process stood still, the first look may be before its timers.
    if (this.stuck !== undefined && before !== undefined) {
      modules.log.error({ cause: this.stuck }, "stuck; the watchdog is not fed");
    }
    const status = this.status;
    const line = this.statusLine();
    const fed = this.stuck === undefined && this.watchdogMs !== undefined;
    const lines = [...(fed ? ["WATCHDOG=1"] : []), ...(line === status ? [] : [line])];
    if (lines.length > 0) this.send(lines.join("\n"));
  }

  private statusLine(): string {
    const why = this.watched?.whyNotReady();
    this.status = `STATUS=${(why ?? "ready").replaceAll("\n", " ")}`;
    return this.status;
  }

  private send(text: string): void {
    const { modules } = this;
    if (modules === undefined) return;
    try {
      modules.send(text);
      this.isUnreachable = false;
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      const line = { cause, variable: "NOTIFY_SOCKET" };
      if (!this.isUnreachable) modules.log.warn(line, "cannot report to the service manager");
      this.isUnreachable = true;
    }
  }
}

/** The manager that the environment names; one that does nothing without it. */
export function openServiceManager(env: Env, pid: number, log: Logger): ServiceManager {
  const { NOTIFY_SOCKET: path = "", WATCHDOG_USEC, WATCHDOG_PID } = env;
  if (path === "") return new ServiceManager(undefined, undefined);
  let send: ((path: string, text: string) => void) | undefined;
  return new ServiceManager(watchdogMsOf(WATCHDOG_USEC, WATCHDOG_PID, pid), {
    clock: systemClock,
    log,
    send: (text) => {
      if (send === undefined) {
        const addon = loadAddon();
        send = (to, message) => addon.sendDatagram(to, message);
      }
      send(path, text);
    },
    monotonicUs: () => process.hrtime.bigint() / 1000n,
  });
}

/** Undefined when there is no watchdog, or it is another process's. */
function watchdogMsOf(usec: string | undefined, of: string | undefined, pid: number) {
  if (of !== undefined && of !== String(pid)) return undefined;
  const ms = Number(usec) / 1000;
  return ms > 0 && Number.isFinite(ms) ? ms : undefined;
}
