/**
 * Makes the load: nodes submit small snapshots at a fixed rate, whatever the answers are, and read
 * their streams. When a session has ended, what was reported of it is compared with `GetSession`.
 */
import { setTimeout as pause } from "node:timers/promises";
import { AggregatorError } from "../../../client/index.js";
import {
  OutcomeReason,
  OutcomeStatus,
  SkipReason,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { BenchService } from "../with-service.js";
import { inventedGroup } from "../../harness/wire/contract.js";
import { residentOf } from "../../harness/processes/processes.js";
import { StreamNode } from "../../harness/wire/stream-node.js";
import { keyTable, snapshot } from "../../harness/vectors.js";
import type { MemorySample } from "./memory-series.js";
import type { LoadOptions } from "./options.js";

/** Fence of every snapshot: short, so that retained memory levels off within the warm-up. */
const FENCE_MS = 2000;
const DEADLINE_MS = 750;
/** How long to wait for the last sessions to end: their fence, and more for a loaded machine. */
const END_MS_MAX = FENCE_MS + 15_000;
const MEMORY_EVERY_MS = 500;
const TELL_EVERY_MS = 5000;

/** Counts by name. */
export type Counts = Readonly<Record<string, number>>;

export interface LoadResult {
  /** Number of submissions that were made while the figures are taken, and that were answered. */
  submissions: number;
  /** Submissions a second that were really made. */
  perSecond: number;
  /** How long each answer took, in milliseconds. */
  ackMs: readonly number[];
  accepted: number;
  skips: Counts;
  /** Calls that ended in an error, by its kind. */
  errors: Counts;
  /** Groups of the settled sessions by how they ended, warm-up included. */
  outcomes: Counts;
  /** Number of the accepted sessions that ended and were compared with `GetSession`. */
  settled: number;
  /** Number of streams that are up at the end. */
  streamsAlive: number;
  /** Number of streams resumed and calls repeated because a connection broke. */
  breaks: number;
  /** One sentence for each group or session that was lost, or reported twice or in two ways. */
  problems: readonly string[];
  /** Resident memory from the first submission on. */
  memory: readonly MemorySample[];
  /** When the warm-up ended, by `performance.now`. */
  measuredFrom: number;
}

export async function runLoad(
  service: BenchService,
  options: LoadOptions,
  progress: (line: string) => void,
): Promise<LoadResult> {
  const ids = Array.from({ length: options.streams }, (_, at) => `load-${String(at)}`);
  const nodes = await Promise.all(ids.map((id) => StreamNode.open(service.address, id)));
  try {
    return await new Load(service, nodes, options, progress).run();
  } finally {
    for (const node of nodes) node.close();
  }
}

class Load {
  private readonly ackMs: number[] = [];
  private readonly skips: Record<string, number> = {};
  private readonly errors: Record<string, number> = {};
  private readonly outcomes: Record<string, number> = {};
  private readonly memory: MemorySample[] = [];
  private readonly tasks = new Set<Promise<void>>();
  private snapshots = 0;
  private groups = 0;
  private accepted = 0;
  private settled = 0;
  /** Warm-up included. */
  private settledInAll = 0;
  private measuredFromMs = Infinity;

  constructor(
    private readonly service: BenchService,
    private readonly nodes: readonly StreamNode[],
    private readonly options: LoadOptions,
    private readonly progress: (line: string) => void,
  ) {}

  async run(): Promise<LoadResult> {
    const { seconds, warmUpSeconds, perSecond } = this.options;
    const startMs = performance.now();
    this.measuredFromMs = startMs + warmUpSeconds * 1000;
    const { pid } = this.service.process;
    const sample = () => this.memory.push({ atMs: performance.now(), bytes: residentOf(pid).now });
    sample();
    const sampling = setInterval(sample, MEMORY_EVERY_MS);
    const telling = setInterval(() => this.tell(startMs), TELL_EVERY_MS);
    try {
      await this.submitAll(startMs, (warmUpSeconds + seconds) * perSecond);
    } finally {
      clearInterval(sampling);
      clearInterval(telling);
    }
    const tookSeconds = (performance.now() - this.measuredFromMs) / 1000;
    await this.untilSettled();
    return {
      submissions: this.ackMs.length,
      perSecond: (seconds * perSecond) / tookSeconds,
      ackMs: this.ackMs,
      accepted: this.accepted,
      skips: this.skips,
      errors: this.errors,
      outcomes: this.outcomes,
      settled: this.settled,
      streamsAlive: this.nodes.filter(({ isStreaming }) => isStreaming).length,
      breaks: this.nodes.reduce((sum, { breaks }) => sum + breaks, 0),
      problems: this.problems(),
      memory: this.memory,
      measuredFrom: this.measuredFromMs,
    };
  }

  /** Submits `total` snapshots at a fixed rate, whether or not earlier ones have been answered. */
  private async submitAll(startMs: number, total: number): Promise<void> {
    for (let sent = 0; sent < total; sent++) {
      const dueMs = startMs + (sent * 1000) / this.options.perSecond;
      if (dueMs > performance.now()) await pause(dueMs - performance.now());
      const node = this.nodes[sent % this.nodes.length];
      if (node === undefined) throw new Error("there are no nodes");
      const task = this.submit(node).catch((error: unknown) => {
        count(this.errors, AggregatorError.from(error).kind);
      });
      this.tasks.add(task);
      void task.then(() => this.tasks.delete(task));
    }
  }

  /** Submits one snapshot, waits until its session has ended, and compares it with `GetSession`. */
  private async submit(node: StreamNode): Promise<void> {
    const groups = Array.from({ length: 1 + (this.snapshots++ % 2) }, () =>
      inventedGroup(this.groups++, [0, 1]),
    );
    const request = { snapshot: snapshot(100, groups, keyTable(2)) };
    const startedMs = performance.now();
    const { result } = await node.submit({
      ...request,
      deadlineMs: DEADLINE_MS,
      fenceMs: FENCE_MS,
    });
    const isMeasured = startedMs >= this.measuredFromMs;
    if (isMeasured) {
      this.ackMs.push(performance.now() - startedMs);
      if (result.case === "accepted") this.accepted++;
      if (result.case === "skipped") count(this.skips, lower(SkipReason[result.value.reason]));
    }
    if (result.case !== "accepted") return;
    const { requestId } = result.value;
    for (const { outcome } of await node.outcomesOf(requestId)) count(this.outcomes, name(outcome));
    await node.settle(requestId);
    this.settledInAll++;
    if (isMeasured) this.settled++;
  }

  private async untilSettled(): Promise<void> {
    const late = new AbortController();
    const bound = pause(END_MS_MAX, undefined, { signal: late.signal }).catch(() => undefined);
    await Promise.race([Promise.all(this.tasks), bound]);
    late.abort();
  }

  private problems(): string[] {
    return this.nodes.flatMap(({ node, ledger }) => {
      const open = [...ledger.open()].map(([requestId, { groups, outcomes }]) =>
        groups === undefined
          ? `request ${requestId} was reported and never accepted`
          : `request ${requestId} got ${outcomes.size} of ${groups} outcomes`,
      );
      return [...ledger.problems, ...open].map((what) => `${node.nodeId}: ${what}`);
    });
  }

  private tell(startMs: number): void {
    const { warmUpSeconds, seconds } = this.options;
    const atSeconds = Math.round((performance.now() - startMs) / 1000);
    const megabytes = Math.round((this.memory.at(-1)?.bytes ?? 0) / 1e6);
    const phase = atSeconds < warmUpSeconds ? "warming up" : "measuring";
    const settled = `${this.settledInAll} sessions settled`;
    this.progress(
      `${phase}, ${atSeconds} of ${warmUpSeconds + seconds} s, ${settled}, ${megabytes} MB`,
    );
  }
}

function count(counts: Record<string, number>, what: string): void {
  counts[what] = (counts[what] ?? 0) + 1;
}

function name({ status, reason }: Outcome): string {
  const of = lower(OutcomeStatus[status]);
  return reason === OutcomeReason.UNSPECIFIED ? of : `${of}/${lower(OutcomeReason[reason])}`;
}

const lower = (text: string | undefined) => (text ?? "unknown").toLowerCase();
