/** Which nodes have a label of their own, and that their number is bounded. */
import { expect, test } from "vitest";
import { NodeSnapshots } from "../../../server/admission/node-snapshots.js";
import { limits } from "../../../server/limits.js";
import { createMetrics } from "../../../server/metrics/metrics.js";

const { nodeLabelsMax, nodeLabelMs } = limits;

function counted() {
  const metrics = createMetrics();
  const clock = { ms: 0 };
  const snapshots = new NodeSnapshots({ metrics, nowMs: () => clock.ms });
  const series = async () => {
    const { values } = await metrics.nodeSnapshots.get();
    return new Map(values.map(({ labels, value }) => [Object.values(labels).join(" "), value]));
  };
  return { clock, snapshots, series };
}

test("a node has both results from its first snapshot on", async () => {
  const { snapshots, series } = counted();
  snapshots.count("a", "accepted");
  expect([...(await series())]).toEqual([
    ["a accepted", 1],
    ["a skipped", 0],
  ]);
});

test("ten thousand ids make no more series than the labels allow", async () => {
  const { snapshots, series } = counted();
  for (let id = 0; id < 10_000; id++) snapshots.count(`n${id}`, "accepted");
  const all = await series();
  expect(all.size).toBe(2 * nodeLabelsMax + 1);
  expect(all.get("(other) accepted")).toBe(10_000 - nodeLabelsMax);
});

test("ids that are only skipped leave half of the labels to nodes that are served", async () => {
  const { snapshots, series } = counted();
  for (let id = 0; id < 10_000; id++) snapshots.count(`n${id}`, "skipped");
  snapshots.count("served", "accepted");
  const all = await series();
  expect(all.size).toBe(nodeLabelsMax + 2 + 1);
  expect(all.get("served accepted")).toBe(1);
});

test("a node that is silent for long gives its label to a new one, an active node keeps its", async () => {
  const { clock, snapshots, series } = counted();
  for (let id = 0; id < nodeLabelsMax; id++) snapshots.count(`n${id}`, "accepted");
  clock.ms = nodeLabelMs - 1;
  snapshots.count("n0", "accepted");
  snapshots.count("early", "accepted");
  clock.ms = nodeLabelMs;
  snapshots.count("new", "accepted");
  const all = await series();
  expect([all.get("n0 accepted"), all.get("n1 accepted")]).toEqual([2, undefined]);
  expect([all.get("early accepted"), all.get("(other) accepted")]).toEqual([undefined, 1]);
  expect(all.get("new accepted")).toBe(1);
});
