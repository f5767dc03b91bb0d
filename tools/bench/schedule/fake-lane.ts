/** A lane of another host as a door hears it: proves in two seconds, without bytes, and learns. */
import type { Clock } from "../../../server/clock.js";
import type {
  FromLane,
  LaneReport,
  ReportedPhase,
  ToLane,
} from "../../../server/lane/lane-messages.js";
import { unknownLane } from "../../../server/schedule/lane-belief.js";
import { freshCostModel, learn } from "../../../server/work/costs/cost-model.js";
import type { GroupWork } from "../../../server/work/group.js";
import { shapeOf } from "../../../server/work/shape.js";
import { inputsOf } from "../../../server/work/group.js";

const ANNOUNCE_EVERY_MS = 500;
/** Until a message of the lane is heard, and from the assignment until the proof begins. */
const WAY_MS = 1;
const VERIFY_MS = 20;
const PROVE_MS = 2000;
/** Proofs take up to this share more or less than `PROVE_MS`. */
const SCATTER = 0.05;

const description = {
  backend: "bench",
  scheme: "bench",
  revision: "bench",
  publicKeyBytes: 1,
  signatureBytes: 1,
  proofBytesMax: 1000,
  childrenMax: 0,
  messagesMax: 8,
  rates: 0,
  fake: true,
};

export interface FakeLaneModules {
  clock: Clock;
  random(): number;
  emit(deviceId: string, message: FromLane): void;
}

export class FakeLane {
  private phase: ReportedPhase = { kind: "idle" };
  private lease = 1;
  private sequence = 0;
  private cost = freshCostModel;
  private end = () => {};

  constructor(
    readonly deviceId: string,
    private readonly modules: FakeLaneModules,
  ) {}

  open(): void {
    const { clock } = this.modules;
    const beat = () => {
      this.announce();
      clock.at(clock.nowMs() + ANNOUNCE_EVERY_MS, beat);
    };
    clock.at(clock.nowMs() + this.modules.random() * ANNOUNCE_EVERY_MS, beat);
  }

  send(message: ToLane): void {
    if (message.kind === "kill") return this.kill(message.attempt);
    if (message.kind !== "assign" || message.lease !== this.lease) return;
    if (this.phase.kind !== "idle") return;
    const { attempt, assignment } = message;
    this.show({ kind: "proving", attempt, proof: null });
    this.end = this.modules.clock.at(this.modules.clock.nowMs() + VERIFY_MS, () =>
      this.prove(attempt, assignment.work),
    );
  }

  private prove(attempt: number, work: GroupWork): void {
    const { clock, random } = this.modules;
    const shape = shapeOf(work);
    const startedAtMs = clock.nowMs();
    const proveMs = PROVE_MS * (1 + SCATTER * (2 * random() - 1));
    this.show({ kind: "proving", attempt, proof: { startedAtMs, shape } });
    this.end = clock.at(startedAtMs + proveMs, () => {
      this.cost = learn(this.cost, shape, proveMs, clock.nowMs());
      const validators = inputsOf(work).raws.flatMap((raws) => raws.validators);
      const proof = new Uint8Array(1);
      const result = {
        kind: "proved",
        proof,
        validators,
        childrenFolded: [],
        leftOut: [],
        proveMs,
      } as const;
      this.emit({ kind: "ended", attempt, result });
      this.free();
    });
  }

  private kill(attempt: number): void {
    if (this.phase.kind !== "proving" || this.phase.attempt !== attempt) return;
    this.end();
    this.free();
  }

  private free(): void {
    this.lease++;
    this.show({ kind: "idle" });
  }

  private show(phase: ReportedPhase): void {
    this.phase = phase;
    this.announce();
  }

  /** The report has a copy of the costs, as if it had been decoded. */
  private announce(): void {
    const { lease, phase, cost } = this;
    const copy = {
      ...cost,
      logMs: [...cost.logMs],
      covariance: cost.covariance.map((row) => [...row]),
    };
    const costs = [{ kind: "fold" as const, logInvRate: 0, model: copy }];
    const report: LaneReport = { ...unknownLane.report, lease, phase, description, costs };
    this.emit({ ...report, kind: "announce", sequence: ++this.sequence });
  }

  private emit(message: FromLane): void {
    const { clock, emit } = this.modules;
    clock.at(clock.nowMs() + WAY_MS, () => emit(this.deviceId, message));
  }
}
