/**
 * What is true of a simulated fleet, and what must hold of it: hears at once what doors, nodes, provers
 * and the engine do, writes the event log, and collects the promises that are broken.
 */
import type { StreamResultsResponse } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Passage } from "../../../server/engine/memory-engine.js";
import { assertNever } from "../../../server/errors.js";
import { decodeToHost, FleetMessageError } from "../../../server/fleet/wire/codec.js";
import type { ToLane } from "../../../server/lane/lane-messages.js";
import type { Logger } from "../../../server/log/log.js";
import type { GroupWork } from "../../../server/work/group.js";
import { sizeName } from "../../../server/work/shape.js";
import type { SubmitAnswer, Submission } from "../../../server/work/submission.js";
import { wholeProofOf } from "../work/sim-inputs.js";
import { workName } from "../work/sim-keys.js";
import type { ProverWitness } from "../sim-prover.js";
import type { VirtualClock } from "../virtual-clock.js";
import type { AdoptionCounts } from "./adoptions.js";
import { Adoptions } from "./adoptions.js";
import { Instants } from "./instants.js";
import { Ledger } from "./ledger.js";
import { NodeResults } from "./node-results.js";
import type { DoorWitness, SimDoor } from "./sim-door.js";
import type { NodeWitness } from "./sim-node.js";
import type { Snapshot } from "./snapshot.js";
import type { SimHost } from "./sim-host.js";
import type { SimProcess } from "./sim-process.js";

export interface FleetReport extends AdoptionCounts {
  violations: string[];
  endings: Record<string, number>;
  /** Requests of which not every group was proved, with their endings. */
  notProved: string[];
  proofs: number;
  /** Those of several messages, and those of a tree that fold proofs. */
  merges: number;
  folds: number;
  resubmitted: number;
  /** Chunks of work and proofs that were sent. */
  chunks: number;
  /** Proofs that were started for each door. */
  turns: Record<string, number>;
  trace: string[];
}

export interface FleetTruthOptions {
  isTraced: boolean;
  /** Whether something delays beats: then translated instants may be early by as much. */
  areBeatsLate: boolean;
}

export class FleetTruth implements DoorWitness, NodeWitness {
  readonly ledger: Ledger;
  readonly results: NodeResults;
  private readonly instants: Instants;
  private readonly adoptions = new Adoptions();
  private readonly violations: string[] = [];
  private readonly lines: string[] = [];
  private resubmissions = 0;
  private merges = 0;
  private folds = 0;
  /** By the digest of assigned work: the proof of all that is valid of it. */
  private readonly proofs = new Map<string, string>();
  private chunks = 0;
  private readonly turns: Record<string, number> = {};

  constructor(
    private readonly time: VirtualClock,
    private readonly options: FleetTruthOptions,
  ) {
    const broken = (what: string) => this.violation(what);
    this.ledger = new Ledger(broken);
    this.results = new NodeResults(broken);
    this.instants = new Instants({ mayBeEarly: options.areBeatsLate }, broken);
  }

  /** To be called at the end. */
  report(): FleetReport {
    this.results.check();
    return {
      violations: this.violations,
      endings: this.results.endings(),
      notProved: this.results.notProved(),
      proofs: this.ledger.proofs,
      merges: this.merges,
      folds: this.folds,
      resubmitted: this.resubmissions,
      chunks: this.chunks,
      turns: this.turns,
      ...this.adoptions.counts,
      trace: this.lines,
    };
  }

  trace(who: string, what: string): void {
    if (!this.options.isTraced) return;
    const at = this.time.nowMs().toFixed(1).padStart(8);
    this.lines.push(`${at}  ${who.padEnd(7)} ${what}`);
  }

  violation(what: string): void {
    this.violations.push(`${this.time.nowMs().toFixed(1)} ms: ${what}`);
    this.trace("BROKEN", what);
  }

  /** The log of a process, as part of the event log. */
  logOf(process: SimProcess): Logger {
    const line = (fields: unknown, text?: unknown) => {
      if (!this.options.isTraced || process.isDead) return;
      this.trace(process.name, `| ${String(text)} ${JSON.stringify(fields)}`);
    };
    return { debug: line, info: line, warn: line, error: line };
  }

  /** Hears what the provers of the process do. */
  proverWitness(process: SimProcess): ProverWitness {
    const { ledger, time } = this;
    return {
      started: (prover) => ledger.proverStarted(prover, process),
      ended: (prover) => ledger.proverEnded(prover),
      proofStarted: (prover, name, { shape, proof }) => {
        const of = `${sizeName(shape)} for ${ledger.requestsOf(name)}`;
        this.trace(process.name, `proof of ${of} starts on ${prover.device}`);
        const { messagesMax } = prover.description;
        const messages = name.split("+").length;
        if (messages > 1 && messages > messagesMax)
          this.violation(`${prover.device}, which merges ${messagesMax}, merges ${messages}`);
        if (messages > 1) this.merges++;
        else if (shape.children > 0) this.folds++;
        ledger.proofStarted(prover, name, { proof, nowMs: time.nowMs() });
        this.adoptions.proved(proof);
        for (const { door } of ledger.asksOf(name)) {
          this.turns[door] = (this.turns[door] ?? 0) + 1;
        }
      },
    };
  }

  /** Is called before the process is killed. @param wanted names of the work that a door waits for */
  killed(name: string, wanted: readonly string[]): void {
    this.trace(name, "is killed");
    for (const work of wanted) this.ledger.orphaned(work);
    for (const { prover, process, name: work, proof } of this.ledger.running()) {
      const own = this.ledger.asksOf(work).find(({ door }) => door === name);
      const goesOn = process.name !== name && !process.isDead;
      if (own === undefined || !goesOn) continue;
      this.trace(name, `leaves the proof for ${own.requestId} on ${prover.device}`);
      this.adoptions.orphaned(proof);
    }
  }

  submitted(door: SimDoor, submission: Submission, answer: SubmitAnswer): void {
    const { requestId, groups } = submission;
    const what = answer.kind === "skipped" ? `skips, ${answer.reason}` : "accepts";
    this.trace(door.id, `${what} ${requestId}`);
    if (answer.kind === "skipped") return;
    const deadlineAtMs = door.process.trueOf(submission.deadlineAtMs);
    const fenceAtMs = door.process.trueOf(submission.fenceAtMs);
    for (const { work } of groups)
      this.ledger.asked(workName(work), {
        ...{ door: door.id, requestId, deadlineAtMs, fenceAtMs },
      });
  }

  attempted(door: SimDoor, { work, isFirstOfSession, isRetry }: Attempted): void {
    this.ledger.attempted(workName(work), door.id, isFirstOfSession || isRetry);
  }

  assigned(door: SimDoor, device: string, message: ToLane): void {
    if (door.process.isDead) return;
    this.instants.means(door.run, door.process, message);
    if (message.kind === "assign")
      this.proofs.set(message.assignment.digest, wholeProofOf(message.assignment.work));
    if (message.kind === "adopt") this.adoptions.adopted(this.proofs.get(message.digest) ?? "");
    this.trace(door.id, `${toLaneText(message)} ${device}`);
  }

  sent(door: SimDoor, { event }: StreamResultsResponse): void {
    if (event.case !== "outcome" || event.value.proof.length === 0) return;
    const { requestId, groupIndex } = event.value;
    const fenceAtMs = door.fenceOf(requestId);
    const lateMs = this.time.nowMs() - door.process.trueOf(fenceAtMs);
    if (lateMs >= 0)
      this.violation(`${door.id} sends ${requestId}/${groupIndex} ${lateMs} ms after its fence`);
  }

  skipped(snapshot: Snapshot, reason: string): void {
    this.trace("node", `${snapshot.requestId} is skipped: ${reason}`);
    this.results.skipped(snapshot, reason);
  }

  ended(...[snapshot, at, ending, outcome]: Parameters<NodeResults["ended"]>): void {
    this.trace("node", `${snapshot.requestId}/${at} has ended: ${ending}`);
    this.results.ended(snapshot, at, ending, outcome);
  }

  resubmitted({ requestId }: Snapshot, endpoint: string): void {
    this.resubmissions++;
    this.trace("node", `resubmits ${requestId} to ${endpoint}`);
  }

  traced(what: string): void {
    this.trace("node", what);
  }

  chunkCrosses({ from, to, bytes }: Passage): void {
    this.chunks++;
    this.trace(from, `sends a chunk of ${bytes.length} bytes to ${to}`);
  }

  /** A door sends this to the host. */
  crosses({ process, run }: SimHost, { bytes }: Passage): void {
    try {
      const message = decodeToHost(bytes);
      // Another run of the host ignores it.
      if (message.hostRun === run) this.instants.tells(process, message, this.time.nowMs());
    } catch (error) {
      if (!(error instanceof FleetMessageError)) throw error;
      this.violation(`${process.name} is sent what it cannot read: ${error.message}`);
    }
  }
}

function toLaneText(message: ToLane): string {
  switch (message.kind) {
    case "assign":
      return `assigns ${message.attempt} under lease ${message.lease} to`;
    case "adopt":
      return `adopts ${message.digest.slice(0, 8)} as ${message.attempt} on`;
    case "kill":
      return `kills ${message.attempt}, ${message.reason}, on`;
    case "command":
      return `commands ${message.command.kind} of`;
    default:
      return assertNever(message);
  }
}

interface Attempted {
  work: GroupWork;
  isFirstOfSession: boolean;
  isRetry: boolean;
}
