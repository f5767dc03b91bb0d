/**
 * A scenario under our own policy: the real sessions, scheduler and lanes on virtual time, with
 * provers that take as long as the truth says. What it sees, it sees as a node or a prover would:
 * answers, outcomes in the logs, proofs started, ended and killed.
 */
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  OutcomeReason,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { LocalLanes } from "../../../server/lane/local-lanes.js";
import type { Dispatcher, NextAttempt } from "../../../server/schedule/dispatcher.js";
import type { Schedules } from "../../../server/schedule/schedules.js";
import { GroupWorths } from "../../../server/schedule/forecast/group-worths.js";
import type { DecodedGroup } from "../../../server/work/group.js";
import type { Envelope } from "../../../server/work/submission.js";
import type { Admission } from "../../../server/admission/admission.js";
import { bitsToIndices } from "../../../proto/bitlist.js";
import { smallestShape } from "../../../server/work/shape.js";
import { calibrationRoot } from "../../sim/calibration.js";
import { VirtualClock } from "../../sim/virtual-clock.js";
import type { LaneMoment, Moment, Queued } from "./counterfactual.js";
import { groupWouldHaveMadeIt, snapshotWouldHaveMadeIt } from "./counterfactual.js";
import type { OpenProof } from "./reported-prover.js";
import { ReportedProver } from "./reported-prover.js";
import type { AskResult, ProofRecord, Run } from "../measure/run.js";
import { notProved } from "../measure/run.js";
import type { GroupSpec } from "../scenario/group-spec.js";
import type { Ask, Priority, Scenario, SnapshotSpec } from "../scenario/scenario.js";
import { asksOf, BACKLOG, contentOf, contentOfGroup } from "../scenario/scenario.js";
import { toEnvelope, toGroup } from "../scenario/to-submission.js";
import { mean } from "../measure/statistics.js";
import { EXIT_MS, VERIFY_MS } from "../scenario/truth.js";
import { virtualService } from "./virtual-service.js";
import { votesOf } from "../scenario/votes.js";
import { watchedSource } from "../../harness/processes/watched-source.js";
import { foldOf } from "../../harness/decoded-group.js";

const EXPIRE_EVERY_MS = 250;

/** A group as the service has it. */
interface Submitted {
  envelope: Envelope;
  group: DecodedGroup;
}

/** What is known of a message by its root; backlog has its own. */
interface Known {
  group: GroupSpec;
  priority: Priority;
  asks: Ask[];
}

export class ServiceRun {
  private readonly clock = new VirtualClock();
  private readonly lanes: LocalLanes;
  private readonly schedules: Schedules;
  private readonly admission: Admission;
  private readonly byRoot = new Map<string, Known>();
  /** Of each accepted request, in its order of groups. */
  private readonly requests = new Map<string, readonly Ask[]>();
  private readonly results = new Map<Ask, AskResult>();
  private readonly asks: Ask[];
  private readonly nodes: ReadonlySet<string>;
  private readonly seqs = new Map<string, number>();
  private readonly attempts = new Map<string, number>();
  private readonly open = new Map<number, OpenProof>();
  private readonly proofs: ProofRecord[] = [];
  private readonly byContent = new Map<string, ProofRecord[]>();
  /** Killed backlog, until the lane's next proof shows what for. */
  private readonly preempted = new Map<number, OpenProof>();
  private readonly submissions = new WeakMap<Ask, Submitted>();
  private readonly worths = new GroupWorths((shape) => this.dispatcher.durationOf(shape));
  /** Handed out, and not yet proved: their inputs are being verified. */
  private handed: Known[] = [];
  private readonly run: Run = { asks: [], proofs: [], refusals: [], preemptions: [] };

  constructor(private readonly scenario: Scenario) {
    const { clock } = this;
    const startProver = (lane: number) => this.startProver(lane);
    const sourceOf = watchedSource((attempt) => this.taken(attempt));
    const service = virtualService({ clock, lanes: scenario.lanes, startProver, sourceOf });
    ({ lanes: this.lanes, schedules: this.schedules, admission: this.admission } = service);
    this.asks = asksOf(scenario);
    this.nodes = new Set(scenario.snapshots.map(({ node }) => node));
    const timing = { root: calibrationRoot, slot: 0, raws: [0], children: [] };
    this.byRoot.set(calibrationRoot, { group: timing, priority: 2, asks: [] });
    for (const ask of this.asks) {
      const { group, snapshot } = ask;
      const known = this.byRoot.get(group.root);
      if (known !== undefined) known.asks.push(ask);
      else this.byRoot.set(group.root, { group, priority: snapshot.priority, asks: [ask] });
    }
  }

  async result(): Promise<Run> {
    this.lanes.open(this.schedules);
    this.every(EXPIRE_EVERY_MS, () => this.admission.expire());
    let at = 0;
    const arrive = () => {
      const snapshot = this.scenario.snapshots[at];
      if (snapshot === undefined) return;
      this.clock.at(snapshot.atMs, () => {
        const first = this.asks.findIndex((ask) => ask.snapshot === snapshot);
        this.submit(snapshot, `${++at}`, this.asks.slice(first, first + snapshot.groups.length));
        arrive();
      });
    };
    arrive();
    await this.clock.runUntil(this.scenario.endMs, () => this.readResults());
    this.run.asks = this.asks.map((ask) => this.results.get(ask) ?? notProved("lost"));
    this.run.proofs = this.proofs;
    return this.run;
  }

  private every(ms: number, callback: () => void): void {
    this.clock.at(this.clock.nowMs() + ms, () => {
      callback();
      this.every(ms, callback);
    });
  }

  private get dispatcher(): Dispatcher {
    const schedule = this.schedules.default;
    if (schedule === undefined) throw new Error("no lane has described itself yet");
    return schedule.dispatcher;
  }

  private usedByNodeMs(node: string): number {
    return this.schedules.accounts.nodes.of(node, this.clock.nowMs());
  }

  private taken(attempt: NextAttempt): void {
    this.handed.push(this.known(hex(foldOf(attempt.work).message.root)));
  }

  private startProver(lane: number): ReportedProver {
    const { clock, attempts } = this;
    return new ReportedProver({
      lane,
      clock,
      truth: this.scenario.truth,
      groupOf: (root) => this.known(root).group,
      countAttempt: (content) => {
        const nth = attempts.get(content) ?? 0;
        attempts.set(content, nth + 1);
        return nth;
      },
      started: (proof) => this.proofStarted(lane, proof),
      killed: (proof) => this.proofKilled(proof),
      over: () => this.open.delete(lane),
    });
  }

  private known(root: string): Known {
    const known = this.byRoot.get(root);
    if (known === undefined) throw new Error(`nobody submitted ${root}`);
    return known;
  }

  private proofStarted(lane: number, proof: OpenProof): void {
    const known = this.known(proof.group.root);
    this.forgetHanded(known);
    this.open.set(lane, proof);
    const { record } = proof;
    this.proofs.push(record);
    this.byContent.set(record.content, [...(this.byContent.get(record.content) ?? []), record]);
    const killed = this.preempted.get(lane);
    if (killed === undefined) return;
    this.preempted.delete(lane);
    const latestStartMs = known.asks.map(({ snapshot, deadlineAtMs, fenceAtMs }) => {
      // Backlog itself, where what it was killed for has gone by now.
      if (snapshot.priority === BACKLOG) return Infinity;
      const step = snapshot.steps.find(({ untilAtMs }) => proof.freeAtMs < untilAtMs);
      const readyByMs = Math.min(fenceAtMs, step?.untilAtMs ?? Infinity);
      return Math.min(deadlineAtMs, readyByMs - (proof.freeAtMs - record.startedAtMs));
    });
    const isNeedless = killed.freeAtMs <= Math.min(...latestStartMs);
    this.run.preemptions.push({ startedAtMs: killed.record.startedAtMs, isNeedless });
  }

  /** At a fence, for a higher class, or because it seems to hang, which counts as a death. */
  private proofKilled(proof: OpenProof): void {
    const nowMs = this.clock.nowMs();
    const { asks, priority } = this.known(proof.group.root);
    if (asks.some(({ fenceAtMs }) => Math.abs(fenceAtMs - nowMs) < 1)) {
      proof.record.end = "fence";
    } else if (priority === BACKLOG) {
      proof.record.end = "preempted";
      this.preempted.set(proof.record.lane, proof);
    }
  }

  private forgetHanded(known: Known): void {
    const at = this.handed.indexOf(known);
    if (at >= 0) this.handed.splice(at, 1);
  }

  private submit(snapshot: SnapshotSpec, requestId: string, asks: readonly Ask[]): void {
    const moment = this.moment(snapshot.node);
    const answer = this.admission.submit(toEnvelope(snapshot, requestId), () =>
      snapshot.groups.map(toGroup),
    );
    if (answer.kind === "accepted") {
      this.requests.set(answer.accepted.requestId, asks);
      return;
    }
    for (const ask of asks) this.results.set(ask, notProved(`skipped ${answer.reason}`));
    if (answer.reason !== "predicted_miss") return;
    const wouldHaveMadeIt = snapshotWouldHaveMadeIt(snapshot, moment);
    this.run.refusals.push({ at: "accept", askedAtMs: snapshot.atMs, wouldHaveMadeIt });
  }

  /** Every outcome that has come since, at the instant at which it came. */
  private readResults(): void {
    for (const node of this.nodes) {
      const record = this.admission.node(node);
      for (;;) {
        const read = record.readAfter(this.seqs.get(node) ?? 0);
        if (read === undefined) break;
        if (read === "behind") throw new Error("a record that is read all along is never behind");
        this.seqs.set(node, read.seq);
        const { event, request } = read;
        if (event.kind === "summary") continue;
        const ask = this.requests.get(request.requestId)?.[event.outcome.groupIndex];
        if (ask === undefined) throw new Error("an outcome of a group that nobody submitted");
        this.ended(ask, event.outcome);
      }
    }
  }

  private ended(ask: Ask, outcome: Outcome): void {
    const { status, reason } = outcome;
    const nowMs = this.clock.nowMs();
    this.forgetHanded(this.known(ask.group.root));
    const isStarted = status !== OutcomeStatus.NOT_STARTED;
    const startedAtMs = isStarted ? ask.snapshot.atMs + outcome.queueMs : undefined;
    const isProved = status === OutcomeStatus.PROVED || status === OutcomeStatus.PROVED_LATE;
    if (status === OutcomeStatus.NOT_STARTED && reason === OutcomeReason.PREDICTED_MISS) {
      const wouldHaveMadeIt = groupWouldHaveMadeIt(ask, this.moment(ask.snapshot.node));
      this.run.refusals.push({ at: "dispatch", askedAtMs: ask.snapshot.atMs, wouldHaveMadeIt });
    }
    if (!isProved) {
      const why = reason === OutcomeReason.UNSPECIFIED ? "" : ` ${OutcomeReason[reason]}`;
      const ending = `${OutcomeStatus[status]}${why}`.toLowerCase();
      this.results.set(ask, { ...notProved(ending), startedAtMs });
      return;
    }
    const validators = new Set(bitsToIndices(outcome.participants));
    this.proofOf(contentOf(ask.group.root, [...validators])).served++;
    this.results.set(ask, {
      ending: "proved",
      startedAtMs,
      provedAtMs: nowMs,
      represented: votesOf(ask.group).filter((validator) => validators.has(validator)),
      isWhole: outcome.leftOut.length === 0,
    });
  }

  /** The proof that has just been verified. */
  private proofOf(content: string): ProofRecord {
    const sinceMs = this.clock.nowMs() - VERIFY_MS;
    const made = (this.byContent.get(content) ?? []).find(
      ({ end, endedAtMs }) => end === "proved" && Math.abs(endedAtMs - sinceMs) < 1,
    );
    if (made === undefined) throw new Error("a proved group without a proof");
    return made;
  }

  private submitted(ask: Ask): Submitted {
    const known = this.submissions.get(ask);
    if (known !== undefined) return known;
    const submitted = { envelope: toEnvelope(ask.snapshot, ""), group: toGroup(ask.group) };
    this.submissions.set(ask, submitted);
    return submitted;
  }

  /** What a snapshot of the node would find now. */
  private moment(node: string): Moment {
    const nowMs = this.clock.nowMs();
    const handed = [...this.handed];
    const lanes = this.lanes.lanes.map(({ phase }, lane): LaneMoment => {
      const nothing = { content: undefined, isBacklog: false, isProving: false };
      switch (phase.kind) {
        case "idle":
          return { freeAtMs: nowMs, ...nothing };
        case "stopping":
          return { freeAtMs: nowMs + EXIT_MS, ...nothing, isProving: true };
        case "proving":
          return this.provingMoment(lane, handed);
        default:
          return { freeAtMs: Infinity, ...nothing, isProving: true };
      }
    });
    const usedMs = this.usedByNodeMs(node);
    const { truth } = this.scenario;
    const queued = this.queued();
    const untilMs = Math.max(
      nowMs,
      ...queued.flatMap(({ asks }) => asks.map(({ deadlineAtMs }) => deadlineAtMs)),
    );
    const outlook = (ask: Ask) => {
      const { envelope, group } = this.submitted(ask);
      return this.worths.outlook(envelope, group, nowMs, untilMs);
    };
    const costs = queued.flatMap(({ asks: [head] }) =>
      head === undefined ? [] : [this.dispatcher.jobMs(outlook(head).shape)],
    );
    const typicalMs = costs.length === 0 ? this.dispatcher.predictMs(smallestShape) : mean(costs);
    const worthPerMs = (ask: Ask) => outlook(ask).worthPerMs;
    return { nowMs, truth, lanes, queued, usedMs, typicalMs, worthPerMs };
  }

  /** A lane that still verifies has the first of what was handed out. */
  private provingMoment(lane: number, handed: Known[]): LaneMoment {
    const nowMs = this.clock.nowMs();
    const proof = this.open.get(lane);
    if (proof !== undefined) {
      const isBacklog = this.known(proof.group.root).priority === BACKLOG;
      const { content } = proof.record;
      const freeAtMs = Math.max(nowMs, proof.freeAtMs);
      return { freeAtMs, content, isBacklog, isProving: true };
    }
    const next = handed.shift();
    if (next === undefined)
      return { freeAtMs: nowMs, content: undefined, isBacklog: false, isProving: false };
    const freeAtMs = nowMs + this.scenario.truth.wholeMs(lane, next.group);
    const isBacklog = next.priority === BACKLOG;
    return { freeAtMs, content: contentOfGroup(next.group), isBacklog, isProving: false };
  }

  private queued(): Queued[] {
    return this.admission.listSessions().flatMap(({ request, order, state, submission }) => {
      const asks = this.requests.get(request.requestId) ?? [];
      const waiting = asks.filter((_, at) => state.groups[at]?.kind === "queued");
      const { priority, nodeId: node } = submission;
      const usedMs = this.usedByNodeMs(node);
      return waiting.length === 0 ? [] : [{ priority, usedMs, order, node, asks: waiting }];
    });
  }
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
