/**
 * A worker beside the node in place of the service: the same provers, which take what comes in its order,
 * and finish what they have begun.
 */
import type { DecodedGroup } from "../../../server/work/group.js";
import { inputsOf } from "../../../server/work/group.js";
import { shapeOf } from "../../../server/work/shape.js";
import { workName } from "../../sim/work/sim-keys.js";
import type { VirtualClock } from "../../sim/virtual-clock.js";
import type { SnapshotSpec } from "../scenario/scenario.js";
import { VERIFY_MS } from "../scenario/truth.js";
import type { Answer, BlockProvers, Ended } from "./block-provers.js";
import { proofMs } from "./block-provers.js";
import type { BlockScenario } from "./block-scenario.js";

interface Job {
  requestId: string;
  group: DecodedGroup;
  ended: Ended;
}

export class FirstCome implements BlockProvers {
  readonly canReplace = false;
  private waiting: Job[] = [];
  private idle: number;
  private requests = 0;

  constructor(
    private readonly scenario: Pick<BlockScenario, "seed" | "lanes" | "cores">,
    private readonly clock: VirtualClock,
  ) {
    this.idle = scenario.lanes;
  }

  open(): void {}

  submit(_: Omit<SnapshotSpec, "groups">, group: DecodedGroup, ended: Ended): Answer {
    const requestId = `${++this.requests}`;
    this.waiting.push({ requestId, group, ended });
    this.next();
    return { kind: "accepted", accepted: { requestId } };
  }

  /** What has begun goes on, for nothing. */
  cancel(_: string, requestId: string): void {
    this.waiting = this.waiting.filter((job) => job.requestId !== requestId);
  }

  readResults(): void {}

  killProver(): void {}

  private next(): void {
    const job = this.idle > 0 ? this.waiting.shift() : undefined;
    if (job === undefined) return;
    this.idle--;
    const { seed, cores } = this.scenario;
    const { work } = job.group;
    const tookMs = proofMs({ seed, cores, name: workName(work), shape: shapeOf(work) });
    this.clock.at(this.clock.nowMs() + tookMs + VERIFY_MS, () => {
      this.idle++;
      const { raws } = inputsOf(work);
      job.ended(work.kind === "merge" ? [] : raws.flatMap(({ validators }) => validators));
      this.next();
    });
  }
}
