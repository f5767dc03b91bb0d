/** The service as what proves for the network, with provers that take as long as was measured. */
import { bitsToIndices } from "../../../proto/bitlist.js";
import {
  OutcomeReason,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { DecodedGroup } from "../../../server/work/group.js";
import type { SubmitAnswer } from "../../../server/work/submission.js";
import { SimProver } from "../../sim/sim-prover.js";
import type { VirtualClock } from "../../sim/virtual-clock.js";
import type { SnapshotSpec } from "../scenario/scenario.js";
import { toEnvelope } from "../scenario/to-submission.js";
import { EXIT_MS, SETUP_MS, VERIFY_MS } from "../scenario/truth.js";
import type { AttemptSource } from "../../../server/schedule/dispatcher.js";
import type { Schedule } from "../../../server/schedule/schedule.js";
import type { VirtualService } from "../policies/virtual-service.js";
import { virtualService } from "../policies/virtual-service.js";
import type { BlockProvers, Ended } from "./block-provers.js";
import { proofMs } from "./block-provers.js";
import type { BlockScenario } from "./block-scenario.js";

const EXPIRE_EVERY_MS = 250;
/** Eight children take 5.4 GB, measured on 16 cores. */
const RESIDENT_BYTES = 16e9;

export class BlockService implements BlockProvers {
  readonly canReplace = true;
  private readonly service: VirtualService;
  private readonly provers = new Set<SimProver>();
  private readonly nodes = new Map<string, number>();
  private readonly asked = new Map<string, Ended>();
  private requests = 0;

  constructor(
    private readonly scenario: Pick<BlockScenario, "seed" | "lanes" | "cores">,
    private readonly clock: VirtualClock,
    /** Whether the last idle lane is left to votes that are expected. */
    private readonly leavesLastLane: boolean,
  ) {
    const startProver = (lane: number) => this.startProver(lane);
    const sourceOf = ({ queue }: Schedule) => this.sourceOf(queue);
    const { lanes } = scenario;
    this.service = virtualService({
      clock,
      lanes,
      startProver,
      residentBytesMax: RESIDENT_BYTES,
      sourceOf,
    });
  }

  open(): void {
    const { admission, schedules, lanes } = this.service;
    lanes.open(schedules);
    const expire = () => {
      admission.expire();
      this.clock.at(this.clock.nowMs() + EXPIRE_EVERY_MS, expire);
    };
    expire();
  }

  private sourceOf(queue: AttemptSource): AttemptSource {
    return {
      get hasWaiting() {
        return queue.hasWaiting;
      },
      adopt: (offered) => queue.adopt(offered),
      next: (messagesMax, isLastLane) => queue.next(messagesMax, this.leavesLastLane && isLastLane),
      offered: () => queue.offered(),
    };
  }

  submit(snapshot: Omit<SnapshotSpec, "groups">, group: DecodedGroup, ended: Ended): SubmitAnswer {
    const requestId = `${++this.requests}`;
    const shouldReplace = group.work.kind === "merge";
    const envelope = { ...toEnvelope({ ...snapshot, groups: [] }, requestId), shouldReplace };
    const answer = this.service.admission.submit(envelope, () => [group]);
    if (answer.kind === "accepted") {
      this.asked.set(requestId, ended);
      const { node } = snapshot;
      this.nodes.set(node, this.nodes.get(node) ?? 0);
    }
    return answer;
  }

  cancel(node: string, requestId: string): void {
    this.asked.delete(requestId);
    this.service.admission.cancel(node, requestId, []);
  }

  /** Calls back for all that has ended by now. */
  readResults(): void {
    for (const [node, seq] of this.nodes) {
      const read = this.service.admission.node(node).readAfter(seq);
      if (read === undefined) continue;
      if (read === "behind") throw new Error("a record that is read all along is never behind");
      this.nodes.set(node, read.seq);
      if (read.event.kind === "outcome") this.ended(read.request.requestId, read.event.outcome);
      this.readResults();
    }
  }

  private ended(requestId: string, { status, reason, participants }: Outcome): void {
    const isProved = status === OutcomeStatus.PROVED || status === OutcomeStatus.PROVED_LATE;
    const end = this.asked.get(requestId);
    if (isProved) end?.(bitsToIndices(participants));
    else end?.(undefined, whyNot(reason));
  }

  killProver(lane: number): void {
    const device = `cpu${lane}`;
    for (const prover of this.provers) if (prover.device === device) prover.die("signal SIGKILL");
  }

  private startProver(lane: number): SimProver {
    const { seed, cores } = this.scenario;
    return new SimProver(
      {
        device: `cpu${lane}`,
        setupMs: SETUP_MS,
        doesStart: true,
        exitMs: EXIT_MS,
        verifyMs: () => VERIFY_MS,
        residentBytes: () => 0.5e9,
        proveMs: (shape, name) => proofMs({ seed, cores, name, shape }),
      },
      this.clock,
      {
        started: (prover) => this.provers.add(prover),
        proofStarted: () => undefined,
        ended: (prover) => this.provers.delete(prover),
      },
    );
  }
}

function whyNot(reason: OutcomeReason): "missed" | "superseded" | undefined {
  switch (reason) {
    case OutcomeReason.PREDICTED_MISS:
    case OutcomeReason.DEADLINE:
      return "missed";
    case OutcomeReason.SUPERSEDED:
      return "superseded";
    default:
      return undefined;
  }
}
