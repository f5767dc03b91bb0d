/** A node that submits far more than can be proved, and no snapshot twice within 128. */
import { setTimeout as pause } from "node:timers/promises";
import { AggregatorError } from "../../../client/index.js";
import { BusyPolicy, SkipReason } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { StreamNode } from "../../harness/wire/stream-node.js";
import { isProved } from "../../../cli/io/outcome-line.js";
import type { Ending } from "./scenario.js";
import { ROOMY } from "./scenario.js";
import { FULL, HALF, snapshotOf, votes } from "./votes.js";

/** One snapshot in so many replaces those that are queued. */
const REPLACING = 10;
/** A snapshot has one group for each of these groups of the vectors. */
const VECTORS = [...FULL, ...HALF];
const VOTES_MAX = 16;
const VOTES_MIN = 9;
/** A group's votes begin at validator 0 to 15. Validators 0 to 31 have signed all of `VECTORS`. */
const OFFSETS = 16;

export class Flooder {
  /** Number of proofs made for this node so far. */
  proofs = 0;
  private submitted = 0;
  private readonly counts = new Map<string, number>();
  private readonly tasks: Promise<Ending[]>[] = [];
  private readonly open = new Set<string>();
  private onProof = () => {};
  private onFailure: (error: unknown) => void = () => {};

  constructor(private readonly node: StreamNode) {
    node.onOutcome = (outcome) => {
      if (!isProved(outcome)) return;
      this.proofs++;
      this.onProof();
    };
  }

  /** Submits `count` snapshots at once. */
  burst(count: number): void {
    for (let at = 0; at < count; at++) {
      const task = this.submit(at % REPLACING === 0);
      task.catch((error: unknown) => this.onFailure(error));
      this.tasks.push(task);
    }
  }

  /** Resolves when the next proof for this node has arrived. Rejects when a submission fails. */
  nextProof(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.onProof = resolve;
      this.onFailure = reject;
    });
  }

  /** Cancels what is left, and returns how every accepted group ended. */
  async end(): Promise<Ending[]> {
    const { client, node } = this.node;
    for (const requestId of this.open) await client.cancelSession({ node, requestId });
    return (await Promise.all(this.tasks)).flat();
  }

  /** The answers to its snapshots, each with its count, for example `3 accepted, 97 in_flight`. */
  answers(): string {
    return [...this.counts].map(([answer, count]) => `${String(count)} ${answer}`).join(", ");
  }

  private async submit(isReplacing: boolean): Promise<Ending[]> {
    // All snapshots of a burst differ: identical groups share a proof, which would be counted
    // twice.
    const nth = this.submitted++;
    const from = nth % OFFSETS;
    const fewer = Math.floor(nth / OFFSETS) % (VOTES_MAX - VOTES_MIN + 1);
    const groups = VECTORS.map((vector) => votes(vector, from, from + VOTES_MAX - fewer));
    // Not all in one turn of the event loop, which the quiet node shares.
    await pause(1);
    const startedMs = performance.now();
    try {
      const busyPolicy = isReplacing ? BusyPolicy.REPLACE : BusyPolicy.SKIP;
      const request = { snapshot: snapshotOf(groups), busyPolicy, ...ROOMY };
      const { result } = await this.node.submit(request);
      if (result.case !== "accepted") {
        this.count(SkipReason[result.value?.reason ?? 0]?.toLowerCase() ?? "unknown");
        return [];
      }
      this.count("accepted");
      const { requestId } = result.value;
      this.open.add(requestId);
      const ended = await this.node.outcomesOf(requestId);
      this.open.delete(requestId);
      await this.node.settle(requestId);
      return ended.map(({ outcome, atMs }) => ({ outcome, resultMs: atMs - startedMs }));
    } catch (error) {
      const { kind } = AggregatorError.from(error);
      // Expected: the flood sends more at once than the service has room for.
      if (kind !== "overloaded") throw error;
      this.count(kind);
      return [];
    }
  }

  private count(answer: string): void {
    this.counts.set(answer, (this.counts.get(answer) ?? 0) + 1);
  }
}
