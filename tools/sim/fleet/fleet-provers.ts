/**
 * The devices of a simulated fleet and the prover processes on them: what the backend of each takes, how
 * long it needs, and whether one job is ever given more than it takes.
 */
import type { Device } from "../../../server/lane/device.js";
import { fitsOneJob, foldLimitsOf } from "../../../server/work/fold-limits.js";
import type { Shape } from "../../../server/work/shape.js";
import { sizeName } from "../../../server/work/shape.js";
import { calibrationOfTwo } from "../calibration.js";
import type { Random } from "../random.js";
import { DESCRIPTION, SimProver } from "../sim-prover.js";
import type { VirtualClock } from "../virtual-clock.js";
import type { FleetPlan } from "./plans/fleet-plan.js";
import type { FleetTruth } from "./fleet-truth.js";
import type { SimProcess } from "./sim-process.js";

/** Jobs of trees take so much less, so that several fit before a fence. */
const TREE_PACE = 0.3;

export interface FleetProversModules {
  time: VirtualClock;
  random: Random;
  truth: FleetTruth;
}

export class FleetProvers {
  /** Messages that the backend of each device merges. */
  private readonly backends = new Map<string, number>();

  constructor(
    private readonly plan: FleetPlan,
    private readonly modules: FleetProversModules,
  ) {}

  /** @param name of the device in the whole fleet; `id`: at its process */
  device(name: string, id: string, process: SimProcess): Device {
    // Without a measured child, trees would be left out as too long.
    const calibration = this.hasTrees ? calibrationOfTwo : undefined;
    return { id, calibration, startProver: () => this.start(name, process) };
  }

  private get hasTrees(): boolean {
    return this.plan.weather.folds.rawsMax !== undefined;
  }

  /** Messages that the device's backend merges: few as an older one, or 0 as one that cannot merge. */
  private messagesMaxOf(device: string): number {
    const { backends } = this;
    const { random } = this.modules;
    const known = backends.get(device);
    if (known !== undefined) return known;
    const drawn = random.chance(this.plan.weather.mergesLess) ? random.pick([0, 2]) : 16;
    backends.set(device, drawn);
    return drawn;
  }

  private start(device: string, process: SimProcess): SimProver {
    const { random, truth, time } = this.modules;
    const { weather } = this.plan;
    const limits = foldLimitsOf({ ...DESCRIPTION, ...weather.folds });
    const pace = this.hasTrees ? TREE_PACE : 1;
    const prover = new SimProver(
      {
        device,
        setupMs: random.between(200, 1500),
        doesStart: !random.chance(weather.startFailures),
        exitMs: random.between(5, 100),
        verifyMs: () => random.between(1, 60),
        messagesMax: this.messagesMaxOf(device),
        folds: weather.folds,
        proveMs: (shape) => {
          if (!fitsOneJob(limits, shape))
            truth.violation(`${device} is given ${sizeName(shape)}, over its limits`);
          return (
            pace * medianMs(shape) * random.between(1 / (1 + weather.scatter), 1 + weather.scatter)
          );
        },
        residentBytes: () => 0.5e9,
        host: { nowMs: () => process.clock.nowMs(), turn: (hear) => process.turn(hear) },
      },
      time,
      truth.proverWitness(process),
    );
    process.onDeath(() => prover.die("its parent has died"));
    return prover;
  }
}

function medianMs({ raws, children, messages = 0 }: Shape): number {
  return 500 + 10 * raws + 600 * Math.max(children, messages - 1);
}
