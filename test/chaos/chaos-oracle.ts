/**
 * The judge of the chaos suite, at the node's end: submits through the adapter and keeps the books.
 * Every group of an accepted snapshot must end exactly once, and an outcome must never change.
 */
import { Registry } from "prom-client";
import { expect } from "vitest";
import { AggregatorClient, AggregatorError, TickAggregator } from "../../client/index.js";
import type {
  MergeInit,
  MergeOptions,
  SubmitAnswer,
  SubmitOptions,
  TickResult,
} from "../../client/index.js";
import { bitsToIndices } from "../../client/index.js";
import type { Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  DeviceState,
  KeyRole,
  OutcomeReason,
  OutcomeStatus,
  ProofKind,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { until } from "./chaos-service.js";
import { metricValue } from "../helpers/metric-value.js";
import type { GroupInit, KeyInit } from "../../tools/harness/vectors.js";
import { keyTable, snapshot } from "../../tools/harness/vectors.js";

/** Long enough for a cold prover on a loaded machine. */
const BUDGETS = { deadlineMs: 30_000, fenceMs: 60_000 };

interface Submitted {
  groups: number;
  keys: readonly KeyInit[];
  /** The service's deadline is at this instant or later, for it counts from its receipt. */
  deadlineAtMs: number;
  results: TickResult[];
  /** Groups whose proof came past its fence: the adapter drops it, and no result is taken. */
  fenced: number;
}

export class Oracle {
  readonly node: { nodeId: string; nodeEpoch: bigint };
  readonly client: AggregatorClient;
  private readonly adapter: TickAggregator;
  private readonly registry = new Registry();
  private readonly submitted = new Map<string, Submitted>();
  /** Results that no `expectOutcomesUnchanged` has seen. */
  private readonly unchecked: TickResult[] = [];
  private slot = 1000;
  private skippedByAdapter = 0;
  /** Of the adapter's fenced proofs, those that are booked. */
  private fenced = 0;

  /** @param addresses of the service, or of several in the adapter's order; the last one is asked what it says */
  constructor(addresses: string | string[], nodeId = "chaos") {
    this.node = { nodeId, nodeEpoch: 1n };
    const [address = ""] = [addresses].flat().slice(-1);
    this.client = new AggregatorClient({ address });
    this.adapter = new TickAggregator({
      ...this.node,
      endpoints: addresses,
      timeToFence: () => BUDGETS.fenceMs,
      registry: this.registry,
    });
  }

  /** Submits once the adapter lets it; every snapshot is of a slot of its own. */
  submit(groups: GroupInit[], options: SubmitOptions = {}): Promise<string> {
    const gates = { isAggregator: true, hasState: true };
    const entry = { groups: groups.length, keys: keyTable() };
    return this.offer(entry, options, (slot, budgets) =>
      this.adapter.submitOrSkip(slot, gates, () => snapshot(slot, groups), budgets),
    );
  }

  /** Submits a merge, a snapshot of one group, as `submit` does. */
  merge(merge: MergeInit, options: MergeOptions = {}): Promise<string> {
    return this.offer({ groups: 1, keys: merge.keys ?? [] }, options, (slot, budgets) =>
      this.adapter.mergeOrSkip(slot, { hasState: true }, () => merge, budgets),
    );
  }

  private offer<Options extends { deadlineMs?: number; fenceMs?: number }>(
    asked: Pick<Submitted, "groups" | "keys">,
    options: Options,
    ask: (slot: number, options: Options & typeof BUDGETS) => SubmitAnswer,
  ): Promise<string> {
    const slot = this.slot++;
    return until(() => {
      const budgets = { ...BUDGETS, ...options };
      const deadlineAtMs = performance.now() + budgets.deadlineMs;
      const answer = ask(slot, budgets);
      if ("submitted" in answer) {
        const entry = { ...asked, deadlineAtMs, results: [], fenced: 0 };
        this.submitted.set(answer.requestId, entry);
        return answer.requestId;
      }
      this.skippedByAdapter++;
      return undefined;
    });
  }

  /** Submits, and waits until a device proves it. */
  submitAndStart(groups: GroupInit[], options: SubmitOptions = {}): Promise<string> {
    return this.started(this.submit(groups, options));
  }

  mergeAndStart(merge: MergeInit, options: MergeOptions = {}): Promise<string> {
    return this.started(this.merge(merge, options));
  }

  private async started(submitted: Promise<string>): Promise<string> {
    const requestId = await submitted;
    await until(() => this.isProving());
    return requestId;
  }

  /**
   * How the groups of a snapshot ended, in their order; none when the service skipped it. Throws
   * when a proof came past its fence, for nobody knows what it was.
   */
  async results(requestId: string): Promise<TickResult[]> {
    const entry = this.entry(requestId);
    await until(async () => {
      await this.take();
      return endedOf(entry) > 0 ? endedOf(entry) >= entry.groups : this.isAllAnswered();
    });
    const { groups, results, fenced } = entry;
    if (fenced > 0) throw new Error(`${fenced} of ${groups} groups: proof came past its fence`);
    return [...results].sort((a, b) => a.groupIndex - b.groupIndex);
  }

  /** As `results`, for groups that must all have ended by an outcome. */
  async outcomes(requestId: string): Promise<Outcome[]> {
    const results = await this.results(requestId);
    return results.map((result) => {
      if (result.kind !== "outcome") throw new Error(`group ended ${result.kind}`);
      return result.outcome;
    });
  }

  /**
   * Status and reason of each group, or `LOST` where the adapter says so. On a loaded machine a
   * deadline may pass before the proof is made: a proof that is rightly late is given as `PROVED`,
   * one that is marked late in time as `PROVED_LATE`.
   */
  async endings(requestId: string): Promise<string[][]> {
    const results = await this.results(requestId);
    const isOverdue = performance.now() >= this.entry(requestId).deadlineAtMs;
    return results.map((result) => {
      if (result.kind !== "outcome") return [result.kind.toUpperCase()];
      const { status, reason } = result.outcome;
      if (status === OutcomeStatus.PROVED_LATE && isOverdue) return ["PROVED"];
      if (reason === OutcomeReason.UNSPECIFIED) return [OutcomeStatus[status]];
      return [OutcomeStatus[status], OutcomeReason[reason]];
    });
  }

  /** Every group was proved, and every proof verifies. */
  async expectProved(requestId: string): Promise<Outcome[]> {
    const endings = await this.endings(requestId);
    expect(endings).toEqual(endings.map(() => ["PROVED"]));
    expect(endings).not.toEqual([]);
    const outcomes = await this.outcomes(requestId);
    for (const outcome of outcomes) expect(await this.isVerified(outcome)).toBe(true);
    return outcomes;
  }

  /** Bytes of proofs that the service still gives out for a request, in whichever way. */
  async retainedProofBytes(requestId: string): Promise<number> {
    const { session } = await this.client.getSession({ node: this.node, requestId });
    let bytes = session?.outcomes.reduce((sum, { proof }) => sum + proof.length, 0) ?? 0;
    const request = { node: this.node, awaited: [{ requestId }], noFollow: true };
    for await (const { event } of this.client.streamResults(request)) {
      if (event.case === "outcome") bytes += event.value.proof.length;
    }
    return bytes;
  }

  async isProving(): Promise<boolean> {
    const { devices } = await this.client.getServerInfo();
    return devices.some(({ state }) => state === DeviceState.PROVING);
  }

  /**
   * The proof verifies for the participants that the outcome names, of a merge for its claims in their order, once a
   * prover is up to ask.
   */
  private async isVerified({ requestId, data, proof, ...outcome }: Outcome): Promise<boolean> {
    const { node } = this;
    const { keys } = this.entry(requestId);
    const keysOf = ({ participants, role = KeyRole.ATTESTATION }: Signers) =>
      bitsToIndices(participants).map((validator) => keyOf(keys, validator, role));
    const claims = outcome.claims.map((claim) => {
      return { signed: claim.signed, publicKeys: keysOf(claim) };
    });
    const request =
      claims.length > 0
        ? { node, proof, kind: ProofKind.MERGE, claims }
        : { node, data: data ?? {}, proof, publicKeys: keysOf(outcome) };
    const { valid } = await until(() =>
      this.client.verifyAggregate(request).catch((error: unknown) => {
        if (error instanceof AggregatorError && error.kind === "unavailable") return undefined;
        throw error;
      }),
    );
    return valid;
  }

  /** Every group of every accepted snapshot so far has ended exactly once. */
  async expectNothingLostOrDoubled(): Promise<void> {
    await this.take();
    expect(await this.isAllAnswered()).toBe(true);
    for (const entry of this.submitted.values()) {
      if (endedOf(entry) === 0) continue;
      const ended = entry.results.map(({ groupIndex }) => groupIndex).sort((a, b) => a - b);
      const all = Array.from({ length: entry.groups }, (_, index) => index);
      // Of a fenced proof nobody says which group's it was.
      expect(ended).toEqual(all.filter((index) => entry.fenced === 0 || ended.includes(index)));
      expect(endedOf(entry)).toBe(entry.groups);
    }
  }

  /**
   * What the service says now of the sessions that have ended since the last call is what it said
   * when their groups ended. Proofs whose fence has passed may be gone, not changed.
   */
  async expectOutcomesUnchanged(): Promise<void> {
    const told = new Map<string, Outcome[]>();
    for (const result of this.unchecked.splice(0)) {
      if (result.kind !== "outcome") continue;
      told.set(result.requestId, [...(told.get(result.requestId) ?? []), result.outcome]);
    }
    for (const [requestId, outcomes] of told) {
      const { session } = await this.client.getSession({ node: this.node, requestId });
      for (const before of outcomes) {
        const after = session?.outcomes.find((each) => each.groupIndex === before.groupIndex);
        const isErased = after?.proofErased === true;
        const proof = isErased ? new Uint8Array() : before.proof;
        expect(after).toEqual({ ...before, proof, proofErased: isErased });
      }
    }
  }

  /** Closes the adapter, and takes what still comes. */
  async close(drainMs = 2000): Promise<void> {
    await this.adapter.close({ drainMs });
    await this.take();
    this.client.close();
  }

  /** Every snapshot of which no group has ended has been skipped by the service. */
  private async isAllAnswered(): Promise<boolean> {
    const unanswered = [...this.submitted.values()].filter((entry) => endedOf(entry) === 0);
    return unanswered.length === (await this.skippedByService());
  }

  private async take(): Promise<void> {
    for (const result of this.adapter.takeResults(this.slot)) {
      this.entry(result.requestId).results.push(result);
      this.unchecked.push(result);
    }
    await this.countFenced();
  }

  /** The metric does not say whose: the latch lets one snapshot through, so the last that is open. */
  private async countFenced(): Promise<void> {
    const fenced = (await metricValue(this.registry, "lean_aggregator_fenced_results_total")) ?? 0;
    for (; this.fenced < fenced; this.fenced++) {
      const open = [...this.submitted.values()].findLast((each) => endedOf(each) < each.groups);
      if (open === undefined) throw new Error("a fenced proof of a group that had ended");
      open.fenced++;
    }
  }

  private entry(requestId: string): Submitted {
    const entry = this.submitted.get(requestId);
    if (entry === undefined) throw new Error(`a result of ${requestId}, which nobody submitted`);
    return entry;
  }

  /** Snapshots that the service did not accept. */
  private async skippedByService(): Promise<number> {
    const metric = await this.registry.getSingleMetric("lean_aggregator_skipped_total")?.get();
    const all = metric?.values.reduce((sum, { value }) => sum + value, 0) ?? 0;
    return all - this.skippedByAdapter;
  }
}

/** Who signed, in an outcome or in one of its claims. */
interface Signers {
  participants: Uint8Array;
  role?: KeyRole;
}

function keyOf(keys: readonly KeyInit[], validator: number, role: KeyRole): Uint8Array {
  const own = keys.find((key) => {
    const ofKey = key.role ?? KeyRole.ATTESTATION;
    return key.validatorIndex === validator && (ofKey || KeyRole.ATTESTATION) === role;
  });
  if (own?.publicKey === undefined) throw new Error(`validator ${validator} has no key`);
  return own.publicKey;
}

/** Groups of a snapshot that have ended so far. */
function endedOf({ results, fenced }: Submitted): number {
  return results.length + fenced;
}
