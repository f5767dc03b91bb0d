/** docs/operate/metrics.md is what the code and the rules say; `make metrics-doc` writes it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { METRICS_DOCUMENT, metricsDocument } from "../../../tools/metrics/metrics-doc.js";

const root = process.cwd();

test("the document of metrics is up to date: if not, run 'make metrics-doc'", async () => {
  const written = readFileSync(join(root, METRICS_DOCUMENT), "utf8");
  expect(written).toBe(await metricsDocument(root));
});

test("it has a meaning for every metric, and names what uses it", async () => {
  const rows = (await metricsDocument(root)).split("\n").filter((line) => line.startsWith("| `"));
  expect(rows.length).toBeGreaterThan(60);
  for (const row of rows) expect(row.split(" | ")[4]?.length ?? 0, row).toBeGreaterThan(10);
  const ready = rows.find((row) => row.includes("_prover_ready`"));
  expect(ready).toContain("[LeanAggregatorNoProver](alerts.md#leanaggregatornoprover)");
});
