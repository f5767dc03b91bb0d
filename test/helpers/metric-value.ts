/** What a registry has at the moment. */
import type { Registry } from "prom-client";

/** Undefined when no sample has these labels. */
export async function metricValue(
  registry: Registry,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number | undefined> {
  const { values = [] } = (await registry.getSingleMetric(name)?.get()) ?? {};
  const entries = Object.entries(labels);
  return values.find((value) => entries.every(([key, is]) => value.labels[key] === is))?.value;
}
