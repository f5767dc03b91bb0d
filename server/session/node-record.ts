/**
 * What the service keeps of one node: its requests, each with its answer, outcomes and summary, and
 * the order of their events for readers that follow. A request is known with everything or not at
 * all. The number of requests, of outcomes and of events is bounded, and nothing is kept longer than
 * `limits.retentionMs` after its fence. A proof cannot be read at its fence or later.
 */
import type {
  Accepted,
  Outcome,
  Summary,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { Changes } from "../changes.js";
import { Refusal } from "../errors.js";
import { limits } from "../limits.js";
import { PerMinute } from "./per-minute.js";

/** The jobs of a tree, counted when asked. */
export interface TreeJobs {
  readonly jobs: {
    leaves: number;
    folds: number;
    /** Those that have ended. */
    done: number;
    /** How often a lane was given one. */
    tries: number;
  };
}

/** An accepted snapshot, from its acceptance until it is forgotten. */
export interface RequestRecord {
  readonly requestId: string;
  /** The operator's name for the request's session. */
  readonly sessionId: string;
  /** Epoch of the node when it submitted the request; 0: it named none. */
  readonly nodeEpoch: bigint;
  readonly contentDigest: string;
  readonly receivedAtMs: number;
  /** The instant at which the proofs are erased. */
  readonly fenceAtMs: number;
  /** Number of groups. */
  readonly groups: number;
  /** What the node was answered, in milliseconds from `receivedAtMs`. */
  readonly accepted: AcceptedTimes;
  /** The newest tree of each group that has one; only its counts once the group has ended. */
  readonly trees: Map<number, TreeJobs>;
  /** By group index, in the order in which the groups ended. */
  readonly outcomes: ReadonlyMap<number, Outcome>;
  /** Absent until every group has ended. */
  readonly summary: Summary | undefined;
  /** True once the record no longer has the request: nobody can read its outcomes any more. */
  readonly isForgotten: boolean;
}

export type AcceptedTimes = Pick<
  Accepted,
  "deadlineMs" | "fenceMs" | "deadlineSource" | "predictedFinishMs"
>;

export type NewRequest = Omit<RequestRecord, "trees" | "outcomes" | "summary" | "isForgotten">;

/** The outcome of one group, or the summary that ends the request. */
export type ResultEvent =
  { kind: "outcome"; outcome: Outcome } | { kind: "summary"; summary: Summary };

/** An event in the order in which the node's events came. */
export interface NumberedEvent {
  seq: number;
  request: RequestRecord;
  event: ResultEvent;
}

interface Kept extends NewRequest {
  trees: Map<number, TreeJobs>;
  outcomes: Map<number, Outcome>;
  summary: Summary | undefined;
  isForgotten: boolean;
  isErased: boolean;
  /** Number of its latest event. */
  lastSeq: number;
}

export interface NodeRecordBounds {
  /** Ended requests beyond which the one that ended first is forgotten. */
  requestsMax: number;
  /** Events for readers that follow, and outcomes of ended requests; see `limits.nodeEventsMax`. */
  eventsMax: number;
}

export class NodeRecord {
  /** The open `StreamResults` calls, each with its epoch; 0: it named none. */
  readonly streams = new Set<{ readonly nodeEpoch: bigint }>();
  /** Announces every event, and every new epoch. */
  readonly changes = new Changes();
  private highestEpoch = 0n;
  /** How often runs of the node may end requests of earlier runs. */
  private readonly takeovers: PerMinute;
  /** How often a prover may be killed because the node no longer waits. */
  private readonly kills: PerMinute;
  private readonly requests = new Map<string, Kept>();
  /** In the order of their ends. */
  private readonly ended = new Set<Kept>();
  private endedOutcomes = 0;
  private events: (NumberedEvent & { request: Kept })[] = [];
  private nextSeq = 1;

  /** @param nowMs the service's monotonic clock, in milliseconds */
  constructor(
    private readonly bounds: NodeRecordBounds,
    private readonly nowMs: () => number,
  ) {
    this.takeovers = new PerMinute(limits.takeoversPerMinuteMax, nowMs);
    this.kills = new PerMinute(limits.killsPerMinuteMax, nowMs);
  }

  /** Whether the node has no request, in flight or ended, and no open stream. */
  get isIdle(): boolean {
    return this.requests.size === 0 && this.streams.size === 0;
  }

  /** Number of the newest event; 0 before the first. */
  get lastSeq(): number {
    return this.nextSeq - 1;
  }

  /** The request, without proofs that are past their fence; undefined for an unknown one. */
  get(requestId: string): RequestRecord | undefined {
    return this.fresh(this.requests.get(requestId));
  }

  /** The request of this session; undefined for an unknown one. */
  ofSession(sessionId: string): RequestRecord | undefined {
    return this.all().find((request) => request.sessionId === sessionId);
  }

  /** Every request, in the order of acceptance. */
  all(): RequestRecord[] {
    return [...this.requests.values()].flatMap((request) => this.fresh(request) ?? []);
  }

  /** Adds an accepted request. Throws when the node has one of this id. */
  add(request: NewRequest): RequestRecord {
    const { requestId } = request;
    if (this.requests.has(requestId)) throw new Error(`request ${requestId} is known already`);
    const state = { trees: new Map(), outcomes: new Map(), summary: undefined, isForgotten: false };
    const kept: Kept = { ...request, ...state, isErased: false, lastSeq: 0 };
    this.requests.set(requestId, kept);
    return kept;
  }

  /** Adds an event of a request that has not ended. Throws for any other request. */
  append(requestId: string, event: ResultEvent): void {
    const request = this.requests.get(requestId);
    if (request === undefined || request.summary !== undefined) {
      throw new Error(`request ${requestId} is not in flight`);
    }
    request.lastSeq = this.nextSeq++;
    this.events.push({ seq: request.lastSeq, request, event });
    if (event.kind === "outcome") {
      const { groupIndex } = event.outcome;
      request.outcomes.set(groupIndex, event.outcome);
      const tree = request.trees.get(groupIndex);
      // Its counts alone: the tree itself holds inputs and proofs.
      if (tree !== undefined) request.trees.set(groupIndex, { jobs: tree.jobs });
    } else {
      request.summary = event.summary;
      this.ended.add(request);
      this.endedOutcomes += request.outcomes.size;
      this.forgetBeyondBounds();
    }
    if (this.events.length > this.bounds.eventsMax) this.events.shift();
    this.changes.announce();
  }

  /**
   * The first event after number `seq`, undefined if there is none yet. `behind`: it is kept no
   * longer.
   */
  readAfter(seq: number): NumberedEvent | "behind" | undefined {
    const firstKept = this.events[0]?.seq ?? this.nextSeq;
    if (seq < firstKept - 1) return "behind";
    const found = this.events[seq + 1 - firstKept];
    this.fresh(found?.request);
    return found;
  }

  /**
   * Erases proofs past their fence, and forgets requests `limits.retentionMs` after theirs. Forgets
   * the highest epoch once its run has neither an open stream nor a request in flight.
   */
  expire(): void {
    const nowMs = this.nowMs();
    for (const request of this.requests.values()) {
      this.fresh(request);
      const isOver = request.fenceAtMs + limits.retentionMs <= nowMs;
      if (isOver && request.summary !== undefined) this.forget(request);
    }
    // So a node whose clock was ahead in its last run is refused until that run's last fence at most,
    // even while others read or submit under its id.
    if (!this.isHighestEpochInUse) this.highestEpoch = 0n;
  }

  /**
   * Notes the epoch of a call. Returns true for one that is higher than all before. Throws a
   * `Refusal` for a lower one: a later run of the node has called; and for one that would end requests
   * of earlier runs, where `limits.takeoversPerMinuteMax` others did so within a minute. Epoch 0 takes
   * no part.
   */
  enterEpoch(epoch: bigint): boolean {
    this.checkEpoch(epoch);
    if (epoch <= this.highestEpoch) return false;
    if (this.inFlight().some(({ nodeEpoch }) => nodeEpoch !== 0n)) this.countTakeover(epoch);
    this.highestEpoch = epoch;
    this.changes.announce();
    return true;
  }

  /** Throws a `Refusal` when a call had a higher epoch than this one, unless this one is 0. */
  checkEpoch(epoch: bigint): void {
    if (epoch === 0n || epoch >= this.highestEpoch) return;
    const detail =
      `node_id_in_use: node_epoch is ${epoch}, and a run of this node with epoch ` +
      `${this.highestEpoch} has called: give each node an id of its own`;
    throw new Refusal("failed_precondition", "", detail);
  }

  /**
   * Counts so many kills of provers for whose proof only this node waited. Returns false, and counts nothing,
   * where `limits.killsPerMinuteMax` or more were killed so within a minute.
   */
  takeKills(count: number): boolean {
    return this.kills.take(count) === 0;
  }

  /** Counts anew: the operator ends a session of the node, and wants its lane. */
  forgetKills(): void {
    this.kills.clear();
  }

  private countTakeover(epoch: bigint): void {
    const waitMs = this.takeovers.take();
    if (waitMs === 0) return;
    const detail =
      `${epoch}: new runs of this node have ended requests of earlier ones ` +
      `${limits.takeoversPerMinuteMax} times within a minute, the next may in ${waitMs} ms: ` +
      `find out why the node starts so often`;
    throw new Refusal("resource_exhausted", "node.node_epoch", detail);
  }

  private inFlight(): Kept[] {
    return [...this.requests.values()].filter(({ summary }) => summary === undefined);
  }

  private get isHighestEpochInUse(): boolean {
    return [...this.streams, ...this.inFlight()].some(
      ({ nodeEpoch }) => nodeEpoch === this.highestEpoch,
    );
  }

  private fresh(request: Kept | undefined): Kept | undefined {
    if (request === undefined || request.isErased || this.nowMs() < request.fenceAtMs) {
      return request;
    }
    for (const outcome of request.outcomes.values()) {
      if (outcome.proof.length === 0) continue;
      outcome.proof = new Uint8Array(0);
      outcome.proofErased = true;
    }
    request.isErased = request.summary !== undefined;
    return request;
  }

  /** Keeps the request that has just ended, whatever its size. */
  private forgetBeyondBounds(): void {
    for (const oldest of this.ended) {
      const { requestsMax, eventsMax } = this.bounds;
      const fits = this.ended.size <= requestsMax && this.endedOutcomes <= eventsMax;
      if (fits || this.ended.size === 1) return;
      this.forget(oldest);
    }
  }

  /** Forgets an ended request, and the events up to its last: a reader of those is behind. */
  private forget(request: Kept): void {
    this.requests.delete(request.requestId);
    this.ended.delete(request);
    this.endedOutcomes -= request.outcomes.size;
    request.isForgotten = true;
    const later = this.events.findIndex(({ seq }) => seq > request.lastSeq);
    this.events = later < 0 ? [] : this.events.slice(later);
  }
}
