/**
 * What signals do to a running service: SIGHUP reloads files, SIGUSR1 does nothing, and the others
 * drain it, or kill its provers when it drains already. Signals that arrive while the service
 * starts take effect as soon as they can.
 */
import { assertNever } from "../../server/errors.js";
import type { Logger } from "../../server/log/log.js";
import type { Service } from "../../server/service.js";
import { exitCodes } from "../io/command.js";
import type { ServiceSignal, ServiceSignals } from "../io/signals.js";
import type { ServiceManager } from "./service-manager.js";

export interface ServiceSignalsModules {
  signals: Pick<ServiceSignals, "listen">;
  log: Logger;
}

/** The service, and how to reload its files. */
export interface Running {
  service: Pick<Service, "close" | "kill">;
  reload(): Promise<void>;
}

/** The same, with each of its changes reported to the service manager. */
export function managed(
  manager: Pick<ServiceManager, "stopping" | "reloading" | "reloaded">,
  { service, reload }: Running,
): Running {
  return {
    service: {
      close: () => {
        manager.stopping();
        return service.close();
      },
      kill: () => service.kill(),
    },
    reload: async () => {
      manager.reloading();
      await reload();
      manager.reloaded();
    },
  };
}

type State =
  | { kind: "starting" }
  | { kind: "running"; running: Running; end: (exitCode: number) => void }
  | { kind: "draining"; service: Running["service"]; end: (exitCode: number) => void };

export class SignalHandler {
  /** Resolves at the first signal that drains the service. */
  readonly stopAsked: Promise<void>;
  private state: State = { kind: "starting" };
  private askStop = () => {};
  private readonly heldWhileStarting: ServiceSignal[] = [];
  /** One reload after the other. */
  private reloading = Promise.resolve();

  constructor(private readonly modules: ServiceSignalsModules) {
    this.stopAsked = new Promise((resolve) => (this.askStop = resolve));
    modules.signals.listen((name) => this.take(name));
  }

  /** Resolves with the exit code once a signal has ended the service. */
  end(running: Running): Promise<number> {
    return new Promise((end) => {
      this.state = { kind: "running", running, end };
      for (const name of this.heldWhileStarting.splice(0)) this.take(name);
    });
  }

  private take(name: ServiceSignal): void {
    switch (name) {
      case "SIGUSR1":
        return this.modules.log.info({ signal: name }, "signal ignored");
      case "SIGHUP":
        return this.reload();
      case "SIGTERM":
      case "SIGINT":
      case "SIGQUIT":
      case "SIGUSR2":
        return this.stop(name);
      default:
        return assertNever(name);
    }
  }

  private reload(): void {
    const { state } = this;
    if (state.kind === "starting") {
      this.heldWhileStarting.push("SIGHUP");
    } else if (state.kind === "running") {
      this.reloading = this.reloading.then(() => state.running.reload());
    } else {
      this.modules.log.info({ signal: "SIGHUP" }, "signal ignored; the service is draining");
    }
  }

  private stop(name: ServiceSignal): void {
    const { state } = this;
    this.modules.log.info({ signal: name }, "signal received");
    this.askStop();
    switch (state.kind) {
      case "starting":
        this.heldWhileStarting.push(name);
        return;
      case "running": {
        const { service } = state.running;
        this.state = { kind: "draining", service, end: state.end };
        void service.close().then(() => state.end(exitCodes.ok));
        return;
      }
      case "draining":
        void state.service.kill().then(() => state.end(exitCodes.error));
        return;
      default:
        return assertNever(state);
    }
  }
}
