/** The adapter's metrics are those of PROTOCOL.md, and exist from the start. */
import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Registry } from "prom-client";
import { afterEach, expect, it } from "vitest";
import { countOutcome, createAdapterMetrics } from "../../../client/adapter/metrics.js";
import { SKIP_REASONS } from "../../../client/index.js";
import {
  OutcomeSchema,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { VotesSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { voteFates } from "../../../server/reasons.js";
import { cleanUp, GATES, snapshot, start } from "./adapter-setup.js";

afterEach(cleanUp);

it("has the names that the protocol lists", async () => {
  const registry = new Registry();
  createAdapterMetrics(registry);
  const names = (await registry.getMetricsAsJSON()).map(({ name }) => name);
  const text = readFileSync(new URL("../../../client/PROTOCOL.md", import.meta.url), "utf8");
  const listed = [...text.matchAll(/^\| `(lean_[a-z_]+)/gm)].map(([, name]) => name);
  expect(listed.sort()).toEqual(names.sort());
});

it("starts every label value at zero", async () => {
  const registry = new Registry();
  createAdapterMetrics(registry);
  const skips = await registry.getSingleMetric("lean_aggregator_skipped_total")?.get();
  expect(skips?.values.map(({ labels, value }) => [labels.reason, value])).toEqual(
    SKIP_REASONS.map((reason) => [reason, 0]),
  );
});

it("counts the votes of an outcome by fate, and each of them once", async () => {
  const registry = new Registry();
  const metrics = createAdapterMetrics(registry);
  const of = (status: OutcomeStatus, counts?: MessageInitShape<typeof VotesSchema>) =>
    create(OutcomeSchema, { status, ...(counts && { votes: counts }) });
  const fates = async () => {
    const { values = [] } =
      (await registry.getSingleMetric("lean_aggregator_votes_total")?.get()) ?? {};
    return values.map(({ labels, value }) => [labels["fate"], value]);
  };
  expect(Object.fromEntries(await fates())).toEqual(
    Object.fromEntries(voteFates.map((fate) => [fate, 0])),
  );
  countOutcome(metrics, of(OutcomeStatus.PROVED, { proved: [1, 0, 2], shed: 29 }));
  countOutcome(metrics, of(OutcomeStatus.PROVED_LATE, { proved: [0, 4], wrongLeaf: 1 }));
  countOutcome(metrics, of(OutcomeStatus.STOPPED, { proved: [0, 0], stopped: 8 }));
  countOutcome(metrics, of(OutcomeStatus.PROVED)); // of an older service
  const counted = (await fates()).filter(([, value]) => value !== 0);
  expect(Object.fromEntries(counted)).toEqual({
    ...{ proved: 3, proved_late: 4, shed: 29, wrong_leaf: 1, stopped: 8 },
  });
});

it("counts a merge by its status, and none of its votes", async () => {
  const registry = new Registry();
  const metrics = createAdapterMetrics(registry);
  const claims = [{ participants: new Uint8Array([3]) }];
  for (const status of [OutcomeStatus.PROVED, OutcomeStatus.PROVED, OutcomeStatus.REJECTED])
    countOutcome(metrics, create(OutcomeSchema, { status, claims, votes: { proved: [2] } }));
  const valuesOf = async (name: string) => (await registry.getSingleMetric(name)?.get())?.values;
  const votes = (await valuesOf("lean_aggregator_votes_total")) ?? [];
  expect(votes.filter(({ value }) => value !== 0)).toEqual([]);
  const merges = (await valuesOf("lean_aggregator_merges_total")) ?? [];
  expect(Object.fromEntries(merges.map(({ labels, value }) => [labels["status"], value]))).toEqual({
    ...{ proved: 2, proved_late: 0, rejected: 1, not_started: 0, stopped: 0, failed: 0 },
  });
});

it("times a submission once its gates are open, and no closed gate", async () => {
  const { aggregator, metric } = await start();
  const timed = () => metric("lean_aggregator_submit_duration_seconds", { le: "+Inf" });
  aggregator.submitOrSkip(5, { ...GATES, isAggregator: false }, snapshot);
  aggregator.mergeOrSkip(5, { hasState: false }, () => ({ components: [] }));
  expect(await timed()).toBe(0);
  aggregator.submitOrSkip(5, GATES, () => null);
  expect(await timed()).toBe(1);
  aggregator.submitOrSkip(5, GATES, snapshot);
  expect(await timed()).toBe(2);
});
