/**
 * The signals of this process. `main.ts` takes them before it loads the rest of the program, which
 * takes up to half a second: unless somebody listens, SIGHUP, SIGQUIT and SIGUSR2 end Node.js, and
 * SIGUSR1 opens its debugger to every user of the machine.
 */

const names = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGUSR2", "SIGHUP", "SIGUSR1"] as const;

export type ServiceSignal = (typeof names)[number];

/** Signals that arrive before `listen` is called are delivered when it is. */
export class ServiceSignals {
  private readonly held: ServiceSignal[] = [];
  private deliver = (name: ServiceSignal): void => void this.held.push(name);

  /** @param isService false for a command other than `serve` and `prove`: only SIGUSR1 is taken, and ignored */
  constructor(isService: boolean) {
    const taken = isService ? names : (["SIGUSR1"] as const);
    for (const name of taken) process.on(name, () => this.deliver(name));
    // Beyond `ulimit -f` a write fails; by default this signal would end the process.
    process.on("SIGXFSZ", () => undefined);
  }

  /** Calls `deliver` with each signal, from the first that the process got. */
  listen(deliver: (name: ServiceSignal) => void): void {
    this.deliver = deliver;
    for (const name of this.held.splice(0)) deliver(name);
  }
}
