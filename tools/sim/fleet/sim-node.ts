/**
 * A node of the simulated fleet: the adapter's real machine, with calls and streams in virtual time
 * in place of `client/adapter`. It submits snapshots, takes results, and resubmits as the rules say.
 */
import { create } from "@bufbuild/protobuf";
import type {
  Outcome,
  StreamResultsResponse,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  OutcomeReason,
  OutcomeStatus,
  StreamResultsRequestSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { eventOf } from "../../../client/adapter/wire-events.js";
import type {
  AdapterEffect,
  AdapterEvent,
  AdapterSkipReason,
  MachineState,
} from "../../../client/machine/index.js";
import { createMachine, transition } from "../../../client/machine/index.js";
import type { SubmitAnswer } from "../../../server/work/submission.js";
import type { Snapshot } from "./snapshot.js";
import type { NodeLink } from "./node-link.js";
import type { SimProcess } from "./sim-process.js";

/** The limits of `client/rpc/live-results.ts` and `client/adapter/request-sender.ts`. */
const OPEN_MS = 2000;
const SILENCE_MS = 1500;
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 2000;
const ANSWER_GRACE_MS = 2000;

const TICK_MS = 200;

/** How a group, or a whole request, ended at the adapter. */
export interface NodeWitness {
  skipped(snapshot: Snapshot, reason: AdapterSkipReason): void;
  /** `ending`: as the outcome's status and reason, or `duplicate`, `lost` and so on. */
  ended(snapshot: Snapshot, groupIndex: number, ending: string, outcome?: Outcome): void;
  traced(what: string): void;
  resubmitted(snapshot: Snapshot, endpoint: string): void;
}

export interface SimNodeModules {
  process: SimProcess;
  links: ReadonlyMap<string, NodeLink>;
  witness: NodeWitness;
}

interface Try {
  endpoint: string;
  fail(isTimeout: boolean): void;
  end(): void;
}

type Send = Extract<AdapterEffect<Outcome>, { kind: "send" }>;

export class SimNode {
  private state: MachineState<Outcome>;
  private readonly snapshots = new Map<string, Snapshot>();
  private readonly tries = new Map<string, Try>();
  private slot = 0;

  constructor(
    readonly nodeId: string,
    private readonly modules: SimNodeModules,
  ) {
    const endpoints = [...modules.links.keys()];
    this.state = createMachine<Outcome>({ endpoints, hasVerifyHook: false });
  }

  /** Opens the result streams, and begins to take results. */
  start(): void {
    for (const endpoint of this.modules.links.keys()) this.follow(endpoint, 0);
    this.tick();
  }

  /** Submits the snapshot, unless the adapter's gates are closed. */
  submit(snapshot: Snapshot, budgets: { deadlineMs: number; fenceMs: number }): void {
    const { requestId, slot, priority, groups } = snapshot;
    const proofKind = groups[0]?.work.kind === "merge" ? "merge" : "aggregate";
    this.slot = Math.max(this.slot, slot);
    const gates = { isAggregator: true, hasState: true };
    const ask = {
      kind: "ask",
      slot: this.slot,
      gates,
      priority,
      proofKind,
      mayReplace: false,
    } as const;
    const answer = this.dispatch(ask).find(({ kind }) => kind === "go" || kind === "skip");
    if (answer?.kind === "skip") return this.modules.witness.skipped(snapshot, answer.reason);
    this.snapshots.set(requestId, snapshot);
    const nowMs = this.nowMs();
    this.dispatch({
      kind: "submitted",
      submission: {
        requestId,
        priority,
        proofKind,
        slot,
        groups: groups.length,
        bytes: 1000,
        deadlineAtMs: nowMs + budgets.deadlineMs,
        fenceAtMs: nowMs + budgets.fenceMs,
        fenceSlot: null,
        holdUntilMs: 0,
      },
    });
  }

  /** Cancels all that has not ended of a request; nothing of one that was never sent. */
  withdraw(requestId: string): void {
    this.modules.witness.traced(`${this.nodeId} cancels ${requestId}`);
    this.dispatch({ kind: "cancel", requestId, groups: null });
  }

  /** Requests that the machine has not forgotten. */
  get open(): number {
    return this.state.requests.size;
  }

  private nowMs(): number {
    return this.modules.process.clock.nowMs();
  }

  private tick(): void {
    this.dispatch({ kind: "take", slot: this.slot });
    this.modules.process.clock.at(this.nowMs() + TICK_MS, () => this.tick());
  }

  private dispatch(event: AdapterEvent<Outcome>): readonly AdapterEffect<Outcome>[] {
    const { state, effects } = transition(this.state, event, this.nowMs());
    this.state = state;
    for (const effect of effects) this.run(effect);
    return effects;
  }

  private run(effect: AdapterEffect<Outcome>): void {
    const { witness } = this.modules;
    switch (effect.kind) {
      case "skip": {
        if (effect.requestId === null) return;
        return witness.skipped(this.snapshotOf(effect.requestId), effect.reason);
      }
      case "send":
        return this.send(effect);
      case "cancel":
        return this.cancel(effect);
      case "deliver": {
        const { ref, kind } = effect.result;
        const snapshot = this.snapshotOf(ref.requestId);
        if (kind !== "outcome") return witness.ended(snapshot, ref.groupIndex, kind);
        const { payload } = effect.result;
        return witness.ended(snapshot, ref.groupIndex, endingOf(payload), payload);
      }
      case "fenced":
      case "dropped": {
        const { requestId, groupIndex } = effect.ref;
        return witness.ended(this.snapshotOf(requestId), groupIndex, effect.kind);
      }
      default:
        return;
    }
  }

  private snapshotOf(requestId: string): Snapshot {
    const snapshot = this.snapshots.get(requestId);
    if (snapshot === undefined) throw new Error(`${this.nodeId} never submitted ${requestId}`);
    return snapshot;
  }

  private send(sending: Send): void {
    const { requestId, endpoint, afterMs, isResubmission } = sending;
    const snapshot = this.snapshotOf(requestId);
    if (isResubmission) this.modules.witness.resubmitted(snapshot, endpoint);
    this.tries.get(requestId)?.end();
    const { clock } = this.modules.process;
    let leave: () => void = () => undefined;
    const releases = [clock.at(this.nowMs() + afterMs, () => (leave = this.attempt(sending)))];
    const end = () => {
      for (const release of releases) release();
      leave();
      if (this.tries.get(requestId) === own) this.tries.delete(requestId);
    };
    const own: Try = {
      endpoint,
      end,
      fail: (isTimeout) => {
        end();
        this.dispatch({ kind: "failed", requestId, endpoint, isTimeout });
      },
    };
    this.tries.set(requestId, own);
    const timeoutMs = Math.max(0, sending.deadlineAtMs - this.nowMs()) + ANSWER_GRACE_MS;
    releases.push(clock.at(this.nowMs() + afterMs + timeoutMs, () => own.fail(true)));
  }

  /** One call of SubmitSnapshot. Returns what ends it. */
  private attempt({ requestId, endpoint, deadlineAtMs, fenceAtMs, isLookup }: Send): () => void {
    const sentAtMs = this.nowMs();
    const left = (atMs: number) => Math.max(0, Math.floor(atMs - sentAtMs));
    const budgets = { deadlineMs: isLookup ? 0 : left(deadlineAtMs), fenceMs: left(fenceAtMs) };
    const snapshot = this.snapshotOf(requestId);
    const answered = (serviceId: string, answer: SubmitAnswer) => {
      this.tries.get(requestId)?.end();
      if (answer.kind === "skipped") {
        const { reason } = answer;
        this.dispatch({ kind: "refused", requestId, endpoint, reason });
        return;
      }
      const atMs = sentAtMs + answer.accepted.fenceMs;
      this.dispatch({ kind: "accepted", requestId, endpoint, serviceId, fenceAtMs: atMs });
    };
    return this.linkTo(endpoint).connect(
      (door, { reply }) => {
        const answer = door.submit(snapshot, budgets);
        reply(() => answered(door.id, answer));
      },
      () => this.tries.get(requestId)?.fail(false),
    );
  }

  private cancel(effect: Extract<AdapterEffect<Outcome>, { kind: "cancel" }>): void {
    const { endpoint, requestId, groups } = effect;
    this.linkTo(endpoint).connect(
      (door) => door.cancel(this.nodeId, requestId, groups),
      () => undefined,
    );
  }

  /** Reads one result stream, and the next one once it has broken. */
  private follow(endpoint: string, failures: number): void {
    const { clock } = this.modules.process;
    const effects = this.dispatch({ kind: "opening", endpoint });
    const awaited = effects.flatMap((effect) =>
      effect.kind === "await"
        ? effect.requests.map(({ requestId, receivedGroups }) => {
            return { requestId, receivedGroups: [...receivedGroups] };
          })
        : [],
    );
    const node = { nodeId: this.nodeId, nodeEpoch: 1n };
    const request = create(StreamResultsRequestSchema, { node, awaited });
    let hasOpened = false;
    let isOver = false;
    let stopTimer = () => {};
    const within = (ms: number) => {
      stopTimer();
      stopTimer = clock.at(this.nowMs() + ms, () => broken(true));
    };
    const broken = (isSilent: boolean) => {
      if (isOver) return;
      isOver = true;
      stopTimer();
      leave();
      this.brokenAt(endpoint, isSilent);
      const failed = hasOpened ? 0 : failures;
      const backoffMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(failed, 8));
      clock.at(this.nowMs() + backoffMs, () => this.follow(endpoint, failed + 1));
    };
    const heard = (response: StreamResultsResponse) => {
      hasOpened = true;
      within(SILENCE_MS);
      const event = eventOf(endpoint, response, () => false);
      if (event !== null) this.dispatch(event);
    };
    const leave = this.linkTo(endpoint).connect(
      (door, { reply, left }) =>
        void door.stream(request, left, {
          take: (response) => reply(() => heard(response)),
          ended: () => reply(() => broken(false)),
        }),
      () => broken(false),
    );
    within(OPEN_MS);
  }

  /** A silent connection is given up with the calls on it. */
  private brokenAt(endpoint: string, isSilent: boolean): void {
    if (isSilent) this.modules.witness.traced(`${this.nodeId}: ${endpoint} is silent`);
    this.dispatch({ kind: "disconnected", endpoint, isSilent });
    if (!isSilent) return;
    for (const open of [...this.tries.values()]) if (open.endpoint === endpoint) open.fail(false);
  }

  private linkTo(endpoint: string): NodeLink {
    const link = this.modules.links.get(endpoint);
    if (link === undefined) throw new Error(`no link to ${endpoint}`);
    return link;
  }
}

function endingOf({ status, reason }: Outcome): string {
  const [how, why] = [OutcomeStatus[status], OutcomeReason[reason]];
  return (why === "UNSPECIFIED" ? `${how}` : `${how} ${why}`).toLowerCase();
}
