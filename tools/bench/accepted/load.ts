/** Submits groups in rounds at a given load, and counts how those that were accepted ended. */
import { setTimeout as pause } from "node:timers/promises";
import { SkipReason } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { StreamNode } from "../../harness/wire/stream-node.js";
import { FULL, range, snapshotOf, votes } from "../crowd/votes.js";
import { quantile } from "../statistics.js";
import type { AcceptedOptions } from "./options.js";
import type { Counts } from "./tally.js";
import { count, countSkipped } from "./tally.js";

/** All nodes of a round submit within this time. */
const ROUND_SPREAD_MS = 200;
/** Groups that are proved one after the other at first, to know what one takes; not counted. */
const WARM_UP = 5;
/** The latest groups whose times decide the length of a round. */
const REMEMBERED = 40;
/** Validators that signed the vectors' groups. */
const SIGNERS = 64;

export interface Load {
  /** Runs rounds until `isOver`, and resolves once every accepted group has ended. */
  run(load: number, counts: Counts, isOver: () => boolean): Promise<void>;
  /** What a group takes a prover now, in milliseconds. */
  typicalMs(): number;
  close(): void;
}

export async function openLoad(address: string, options: AcceptedOptions): Promise<Load> {
  const ids = range(0, options.nodes).map((at) => `node-${at}`);
  const nodes = await Promise.all(ids.map((id) => StreamNode.open(address, id)));
  const load = new Rounds(nodes, options);
  await load.warmUp();
  return load;
}

class Rounds implements Load {
  private readonly tookMs: number[] = [];
  private submitted = 0;

  constructor(
    private readonly nodes: readonly StreamNode[],
    private readonly options: AcceptedOptions,
  ) {}

  async warmUp(): Promise<void> {
    const [first] = this.nodes;
    if (first === undefined) throw new Error("nobody submits");
    const unlimited = { deadlineMs: 60_000, fenceMs: 120_000 };
    for (let nth = 0; nth < WARM_UP; nth++) await this.submit(first, unlimited, undefined);
  }

  typicalMs(): number {
    return quantile(this.tookMs, 0.5);
  }

  async run(load: number, counts: Counts, isOver: () => boolean): Promise<void> {
    const running = new Set<Promise<void>>();
    let failure: unknown;
    while (!isOver() && failure === undefined) {
      const roundMs = (this.nodes.length * this.typicalMs()) / load;
      const startMs = performance.now();
      for (const [at, node] of this.nodes.entries()) {
        const task = pause((at * ROUND_SPREAD_MS) / this.nodes.length)
          .then(() => this.submit(node, this.options, counts))
          .catch((error: unknown) => void (failure ??= error))
          .finally(() => running.delete(task));
        running.add(task);
      }
      await pause(Math.max(0, startMs + roundMs - performance.now()));
    }
    await Promise.all(running);
    if (failure !== undefined) throw failure;
  }

  close(): void {
    for (const node of this.nodes) node.close();
  }

  private async submit(
    node: StreamNode,
    { deadlineMs, fenceMs }: { deadlineMs: number; fenceMs: number },
    counts: Counts | undefined,
  ): Promise<void> {
    const { raws } = this.options;
    const nth = this.submitted++;
    // Different messages, and other voters each time: equal groups would share a proof.
    const vector = FULL[nth % FULL.length] ?? FULL[0];
    const from = (nth * 5) % (SIGNERS - raws);
    const snapshot = snapshotOf([votes(vector, from, from + raws)]);
    const startedMs = performance.now();
    const { result } = await node.submit({ snapshot, deadlineMs, fenceMs });
    if (result.case !== "accepted") {
      const reason = SkipReason[result.value?.reason ?? 0]?.toLowerCase() ?? "unknown";
      if (counts === undefined) throw new Error(`the first groups are skipped: ${reason}`);
      return countSkipped(counts, reason);
    }
    const [ended] = await node.outcomesOf(result.value.requestId);
    if (ended === undefined) throw new Error(`${node.node.nodeId} got no outcome`);
    const { outcome, atMs } = ended;
    const resultMs = atMs - startedMs;
    if (outcome.proof.length > 0) this.tookMs.push(resultMs - outcome.queueMs);
    this.tookMs.splice(0, this.tookMs.length - REMEMBERED);
    if (counts !== undefined) count(counts, { outcome, resultMs }, { votes: raws, fenceMs });
  }
}
