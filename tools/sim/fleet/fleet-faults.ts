/** Lets the faults of a plan happen to the processes of a simulated fleet, and end again. */
import { assertNever } from "../../../server/errors.js";
import type { Fault } from "./plans/fleet-plan.js";
import type { Random } from "../random.js";
import type { VirtualClock } from "../virtual-clock.js";
import type { FleetEngine } from "./fleet-engine.js";
import type { FleetTruth } from "./fleet-truth.js";
import type { SimDoor } from "./sim-door.js";
import type { SimHost } from "./sim-host.js";
import type { SimProcess } from "./sim-process.js";

const DRAIN_MS = 2000;

/** A place for a door or a host: the processes that follow each other there. */
export interface Seat<Part> {
  readonly name: string;
  runs: number;
  current: Part | undefined;
}

/** What the faults need of the fleet. */
export interface FaultedFleet {
  readonly time: VirtualClock;
  readonly random: Random;
  readonly engine: FleetEngine;
  readonly truth: FleetTruth;
  readonly doors: readonly Seat<SimDoor>[];
  readonly hosts: readonly Seat<SimHost>[];
  /** Starts a process at the place of this name. */
  start(name: string): void;
  /** Notes that the process goes on after a freeze. */
  resumed(process: SimProcess): void;
}

interface Part {
  process: SimProcess;
  close(drainMs: number): Promise<void>;
}

export class FleetFaults {
  /** How many faults keep nodes from each door now. */
  private readonly unreachable = new Map<string, number>();
  /** What ends the faults that last. */
  private readonly ends = new Set<() => void>();
  private hasEnded = false;

  constructor(private readonly world: FaultedFleet) {}

  isReachable(door: string): boolean {
    return (this.unreachable.get(door) ?? 0) === 0;
  }

  happen(fault: Fault): void {
    const { engine } = this.world;
    switch (fault.kind) {
      case "outage":
        return this.last(fault.forMs, "the engine is back", engine.outage());
      case "kill":
        return this.kill(fault.process, fault.backInMs);
      case "restart":
        return void this.restart(fault.process); // never rejects
      case "freeze":
        return this.freeze(fault.process, fault.forMs);
      case "cut": {
        const process = this.processAt(fault.process);
        if (process === undefined) return;
        engine.cut(process, "cut off");
        const end = () => engine.restore(process);
        return this.last(fault.forMs, `${fault.process} is connected again`, end);
      }
      case "mute":
        engine.mute(fault.process, true);
        return this.last(fault.forMs, `${fault.process} is heard again`, () =>
          engine.mute(fault.process, false),
        );
      case "deaf":
        engine.deafen(fault.process, true);
        return this.last(fault.forMs, `${fault.process} hears again`, () =>
          engine.deafen(fault.process, false),
        );
      case "unreachable":
        this.count(fault.process, 1);
        return this.last(fault.forMs, `${fault.process} can be reached again`, () =>
          this.count(fault.process, -1),
        );
      case "prover_dies":
      case "prover_hangs":
        return this.prover(fault.process, fault.kind === "prover_dies");
      case "drain":
        return this.drain(fault.process, fault.forMs);
      default:
        return assertNever(fault);
    }
  }

  /** Ends every fault that lasts, and lets nothing more begin. */
  end(): void {
    this.hasEnded = true;
    for (const end of [...this.ends]) end();
  }

  private kill(name: string, backInMs: number): void {
    const seat = this.seatOf(name);
    const part = seat?.current;
    if (seat === undefined || part === undefined) return;
    const door = this.world.doors.find((each) => each.name === name)?.current;
    this.world.truth.killed(name, door?.wanted() ?? []);
    seat.current = undefined;
    part.process.kill();
    if (backInMs === Infinity) return;
    this.world.time.at(this.world.time.nowMs() + backInMs, () => this.start(name));
  }

  private async restart(name: string): Promise<void> {
    const seat = this.seatOf(name);
    const part = seat?.current;
    if (seat === undefined || part === undefined || !part.process.isRunning) return;
    await part.close(DRAIN_MS);
    if (seat.current !== part) return;
    this.world.truth.trace(name, "has closed");
    part.process.kill();
    seat.current = undefined;
    this.start(name);
  }

  private start(name: string): void {
    if (!this.hasEnded && this.seatOf(name)?.current === undefined) this.world.start(name);
  }

  private freeze(name: string, forMs: number): void {
    const process = this.processAt(name);
    if (process === undefined) return;
    process.freeze();
    this.last(forMs, `${name} goes on`, () => {
      process.thaw();
      this.world.resumed(process);
    });
  }

  private prover(name: string, dies: boolean): void {
    const process = this.processAt(name);
    if (process === undefined) return;
    const { truth, random } = this.world;
    const provers = truth.ledger.proversOf(process);
    if (provers.length === 0) return;
    const victim = random.pick(provers);
    if (dies) victim.die("signal SIGKILL");
    else victim.fallSilent();
  }

  private drain(name: string, forMs: number): void {
    const door = this.world.doors.find((each) => each.name === name)?.current;
    const device = door?.schedules.devices()[0];
    if (device === undefined || door === undefined) return;
    const order = (isDrained: boolean) =>
      door.process.post(() => {
        void device.order({ kind: "drain", isDrained }, new AbortController().signal); // never rejects
      });
    order(true);
    this.last(forMs, `${name} has ${device.deviceId} work again`, () => order(false));
  }

  private count(door: string, by: number): void {
    this.unreachable.set(door, (this.unreachable.get(door) ?? 0) + by);
  }

  private last(forMs: number, over: string, end: () => void): void {
    const once = () => {
      if (!this.ends.delete(once)) return;
      this.world.truth.trace("OVER", over);
      end();
    };
    this.ends.add(once);
    this.world.time.at(this.world.time.nowMs() + forMs, once);
  }

  private processAt(name: string): SimProcess | undefined {
    return this.seatOf(name)?.current?.process;
  }

  private seatOf(name: string): Seat<Part> | undefined {
    const { doors, hosts } = this.world;
    return [...doors, ...hosts].find((each) => each.name === name);
  }
}
