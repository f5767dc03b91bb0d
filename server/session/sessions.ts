/**
 * The sessions in flight and the shell of their state machines: runs timers and effects, writes
 * outcomes into the node's results log. Owned by `Aggregator`, which decides what is admitted.
 */
import { createHash } from "node:crypto";
import type { Accepted } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { assertNever } from "../errors.js";
import type { Clock } from "../clock.js";
import { limits } from "../limits.js";
import type { Logger } from "../log.js";
import type { MemoryShare } from "../memory-budget.js";
import type { Metrics } from "../metrics.js";
import type { Dispatcher } from "../schedule/dispatcher.js";
import type { DecodedGroup } from "../admission/decode-snapshot.js";
import { groupOf } from "../schedule/attempt.js";
import { GroupQueue } from "../schedule/queue.js";
import type { Nodes, RequestIdentity } from "./nodes.js";
import { deadlineResult, toOutcome, toSummary } from "./outcome.js";
import type { SubmittingPrincipal } from "../access/quota.js";
import type { SessionEffect, SessionEvent, SessionState } from "./session.js";
import { isEnded, queuedGroup, transitionSession } from "./session.js";

/** A checked snapshot, its budgets resolved to instants. */
export interface Submission extends RequestIdentity {
  principal: SubmittingPrincipal;
  nodeEpoch: bigint;
  slot: bigint;
  priority: number;
  shouldReplace: boolean;
  /** A group that does not fit may be cut to the part that does. */
  mayBeCut: boolean;
  receivedAtMs: number;
  deadlineAtMs: number;
  fenceAtMs: number;
  bytes: number;
  groups: readonly DecodedGroup[];
  /** The answer for an accepted session, less what only admission knows. */
  accepted: Omit<Accepted, "sessionId" | "predictedFinishMs" | "$typeName" | "$unknown">;
}

export interface LiveSession {
  readonly id: string;
  readonly order: number;
  readonly submission: Submission;
  state: SessionState;
  readonly startedAtMs: (number | undefined)[];
  hasStarted: boolean;
  /** A device was idle when it came. */
  readonly cameToIdle: boolean;
  readonly counts: Map<string, number>;
  readonly cancelTimers: (() => void)[];
  /** Of the snapshot and its results; of the results alone from the session's end on. */
  readonly share: MemoryShare;
  proofBytes: number;
  /** Of what outcomes name as left out: retained after the fence, as they are. */
  leftOutBytes: number;
}

export interface SessionsModules {
  clock: Clock;
  log: Logger;
  metrics: Metrics;
  dispatcher: Dispatcher;
  nodes: Nodes;
}

export class Sessions {
  private readonly live = new Map<string, LiveSession>();
  readonly queue: GroupQueue;
  private readonly endWaiters = new Set<() => void>();
  private nextOrder = 1;
  private endedShares: {
    share: MemoryShare;
    leftOutBytes: number;
    fenceAtMs: number;
    principal: string;
  }[] = [];

  constructor(
    private readonly options: { instance: string },
    private readonly modules: SessionsModules,
  ) {
    this.queue = new GroupQueue({ ...modules, sessions: this });
  }

  get size(): number {
    return this.live.size;
  }

  get(sessionId: string): LiveSession | undefined {
    return this.live.get(sessionId);
  }

  all(): LiveSession[] {
    return [...this.live.values()];
  }

  ofNode(nodeId: string): LiveSession[] {
    return this.all().filter(({ submission }) => submission.nodeId === nodeId);
  }

  /** What a principal has in flight, and what is kept for it: its proofs too, until their fence. */
  heldBy(principal: string): { sessionsInFlight: number; heldBytes: number } {
    const live = this.all().filter(({ submission }) => submission.principal.name === principal);
    const ended = this.endedShares.filter((each) => each.principal === principal);
    const heldBytes = [...live, ...ended].reduce((sum, { share }) => sum + share.heldBytes, 0);
    return { sessionsInFlight: live.length, heldBytes };
  }

  /** Takes an admitted snapshot on; its groups wait until they enter the queue. */
  open(submission: Submission, share: MemoryShare): LiveSession {
    const { clock, metrics, dispatcher } = this.modules;
    const { deadlineAtMs, fenceAtMs, groups } = submission;
    const order = this.nextOrder++;
    const name = `${this.options.instance}/${order}`;
    const live: LiveSession = {
      id: createHash("sha256").update(name).digest("hex").slice(0, 16),
      order,
      submission,
      state: { deadlineAtMs, fenceAtMs, groups: groups.map(() => queuedGroup) },
      startedAtMs: [],
      hasStarted: false,
      cameToIdle: dispatcher.isIdle,
      counts: new Map(),
      cancelTimers: [],
      share,
      proofBytes: 0,
      leftOutBytes: 0,
    };
    this.live.set(live.id, live);
    metrics.sessionsInFlight.set(this.live.size);
    live.cancelTimers.push(
      clock.at(deadlineAtMs, () => this.step(live, { kind: "deadline" })),
      clock.at(fenceAtMs, () => this.step(live, { kind: "fence" })),
    );
    return live;
  }

  step(live: LiveSession, event: SessionEvent): void {
    if (isEnded(live.state)) return;
    const { state, effects } = transitionSession(live.state, event, this.modules.clock.nowMs());
    live.state = state;
    for (const effect of effects) this.apply(live, effect);
  }

  /** Resolves when no session is left, after the bound at the latest. */
  async untilEmpty(boundMs: number): Promise<void> {
    if (this.live.size === 0) return;
    const { clock } = this.modules;
    await new Promise<void>((resolve) => {
      const cancel = clock.at(clock.nowMs() + boundMs, resolve);
      this.endWaiters.add(() => {
        if (this.live.size > 0) return;
        cancel();
        resolve();
      });
    });
  }

  /** Lets go of what the fence has made worthless. */
  expire(): void {
    const nowMs = this.modules.clock.nowMs();
    this.queue.expire();
    this.endedShares = this.endedShares.filter(({ share, leftOutBytes, fenceAtMs }) => {
      if (nowMs >= fenceAtMs) share.resize(leftOutBytes);
      const isRetained = nowMs < fenceAtMs + (leftOutBytes > 0 ? limits.retentionMs : 0);
      if (!isRetained) share.release();
      return isRetained;
    });
  }

  private apply(live: LiveSession, effect: SessionEffect): void {
    switch (effect.kind) {
      case "stop":
        return this.queue.leave(effect.attempt, live, effect.reason);
      case "end":
        return this.endGroup(live, effect);
      case "summary":
        return this.endSession(live);
      default:
        return assertNever(effect);
    }
  }

  private endGroup(live: LiveSession, effect: Extract<SessionEffect, { kind: "end" }>): void {
    const { clock, metrics, dispatcher, nodes } = this.modules;
    const { submission } = live;
    const queuedUntilMs = live.startedAtMs[effect.group] ?? clock.nowMs();
    const { ending } = effect;
    const { outcome, status } = toOutcome({
      sessionId: live.id,
      slot: submission.slot,
      groupIndex: effect.group,
      decoded: groupOf({ live, group: effect.group }),
      ending,
      description: dispatcher.describe(),
      queueMs: queuedUntilMs - submission.receivedAtMs,
    });
    if (ending.kind === "stopped" && ending.reason === "fence") metrics.fenced.inc();
    metrics.outcomes.inc({ status });
    const result = deadlineResult(ending);
    if (result !== undefined) metrics.deadlines.inc({ result });
    live.proofBytes += outcome.proof.length;
    live.leftOutBytes += outcome.leftOut.length * limits.leftOutBytes;
    live.counts.set(status, (live.counts.get(status) ?? 0) + 1);
    const event = { kind: "outcome", outcome } as const;
    const { nodeId, fenceAtMs } = submission;
    nodes.get(nodeId).log.append({ sessionId: live.id, fenceAtMs, event });
  }

  private endSession(live: LiveSession): void {
    const { clock, metrics, nodes, log } = this.modules;
    const { submission } = live;
    const { nodeId, fenceAtMs, slot, groups, receivedAtMs } = submission;
    const { name: principal } = submission.principal;
    const durationMs = clock.nowMs() - receivedAtMs;
    const counts = Object.fromEntries(live.counts);
    const summary = toSummary(live.id, submission, counts, durationMs);
    for (const cancel of live.cancelTimers) cancel();
    this.live.delete(live.id);
    const { share, proofBytes, leftOutBytes } = live;
    share.resize(proofBytes + leftOutBytes);
    this.endedShares.push({ share, leftOutBytes, fenceAtMs, principal });
    metrics.sessionsInFlight.set(this.live.size);
    metrics.sessionSeconds.observe(durationMs / 1000);
    const event = { kind: "summary", summary } as const;
    nodes.get(nodeId).log.append({ sessionId: live.id, fenceAtMs, event });
    const who = { session: live.id, principal, node: nodeId };
    const line = { ...who, slot: String(slot), groups: groups.length };
    log.info({ ...line, durationMs: Math.round(durationMs), ...counts }, "session ended");
    for (const wake of [...this.endWaiters]) wake();
  }
}
