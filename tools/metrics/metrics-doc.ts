/** The text of docs/operate/metrics.md: every metric of the service and of the adapter. */
import type { Registry } from "prom-client";
import { adapterRegistry, laneHostRegistry, serviceRegistry } from "./exported.js";
import { metricsIn, metricsOnPanels, readDashboard, readRules } from "./deployed.js";
import { whyNoPanel } from "./no-panel.js";

/** From the root of the checkout. */
export const METRICS_DOCUMENT = "docs/operate/metrics.md";

const INTRO = `# Metrics

<!-- Written by \`make metrics-doc\`. Change server/metrics/metrics.ts, server/metrics/device-metrics.ts, server/net/metrics.ts,
server/fleet/door/door-metrics.ts, server/fleet/host/host-metrics.ts,
client/adapter/metrics.ts or tools/metrics/metrics-doc.ts instead. -->

The service exports what is listed here at \`/metrics\` of \`--probes\`, in plain HTTP, and of \`--listen\`
for callers with the permission \`Metrics\`; a lane host at \`--probes\`. A node exports the adapter's metrics itself.

- **Formats**: Prometheus text, or OpenMetrics when \`Accept\` names it; gzip when \`Accept-Encoding\` does.
- **Names**: the service's begin with \`lean_aggregator_server_\`, those of its process too; no node exports
  such a name. The adapter counts \`lean_aggregator_skipped_total\`, the name that lean clients share; it
  replaces \`lean_aggregator_skip_total\` of the first design.
- **Series exist from the start**, with every label value at zero, so that a rate counts the first event;
  only what needs a setting, such as the end of a certificate, is absent without it.
  Labels whose values are known only at run time are bounded: \`device\` by the configuration and the lanes of
  lane hosts, \`host\` by the lane hosts that are heard, \`node\` by 64 ids. A node that was silent for ten minutes may lose its label to another; all nodes without a label
  are \`(other)\`. Nodes that were only skipped so far take at most half of the labels.
- **A restart** sets counters to zero; \`rate\` and \`increase\` allow for it.
- **Several services**: scrape each at its own address, not through a load balancer: two services behind one
  address would look like one that restarts at every scrape. Sums are by \`job\` and \`instance\`; a target in
  two jobs is counted in both.

The column "used by" names [alerts](alerts.md), panels of the dashboard and recorded series of
[rules.yml](../../deploy/prometheus/rules.yml), or says why a metric has no panel.
`;

const SECTIONS: { title: string; registry: () => Registry; has(name: string): boolean }[] = [
  { title: "Service", registry: serviceRegistry, has: (name) => !isOfProcess(name) },
  { title: "The service's process", registry: serviceRegistry, has: isOfProcess },
  { title: "Lane host", registry: laneHostRegistry, has: () => true },
  { title: "Adapter", registry: adapterRegistry, has: () => true },
];
function isOfProcess(name: string): boolean {
  return /^lean_aggregator_server_(process|nodejs)_/.test(name);
}

/** Values that are listed by a word instead of each: they differ between services. */
const AT_RUN_TIME: Readonly<Record<string, string>> = {
  device: "id of a device",
  host: "id of a lane host",
  node: "id of a node, or `(other)`",
  // Which are there depends on the settings.
  certificate: "`server` `client_ca` `engine`",
  version: "",
  revision: "",
  scheme: "",
  nodejs: "",
};

type MetricJson = Awaited<ReturnType<Registry["getMetricsAsJSON"]>>[number];

/** @param root the folder of the checkout, for rules and dashboard */
export async function metricsDocument(root: string): Promise<string> {
  const uses = usesOf(root);
  const shown = metricsOnPanels(root);
  const usesIn = (name: string) => {
    const why = shown.has(name) ? undefined : whyNoPanel(name);
    return [...(uses.get(name) ?? []), ...(why === undefined ? [] : [`no panel: ${why}`])];
  };
  const sections = SECTIONS.map(async ({ title, registry, has }) => {
    const metrics = (await registry().getMetricsAsJSON()).filter(({ name }) => has(name));
    const rows = metrics
      .sort((a, b) => a.name.localeCompare(b.name, "en"))
      .map((metric) => rowOf(metric, usesIn(metric.name)));
    const head =
      "| name | type | unit | labels | meaning | used by |\n| --- | --- | --- | --- | --- | --- |";
    return `## ${title}\n\n${[head, ...rows].join("\n")}\n`;
  });
  return [INTRO, ...(await Promise.all(sections))].join("\n");
}

function rowOf(metric: MetricJson, uses: readonly string[]): string {
  const cells = [
    `\`${metric.name}\``,
    String(metric.type),
    unitOf(metric.name),
    labelsOf(metric),
    metric.help,
    uses.join(", "),
  ];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function unitOf(name: string): string {
  if (/_seconds(_total)?$/.test(name)) return "s";
  if (/_bytes(_total)?$/.test(name)) return "bytes";
  return "";
}

function labelsOf({ name, values }: MetricJson): string {
  const byName = new Map<string, Set<string>>();
  for (const { labels } of values) {
    for (const [label, value] of Object.entries(labels)) {
      if (label === "le" || label === "quantile") continue;
      const known = byName.get(label) ?? new Set();
      byName.set(label, known);
      if (value !== "") known.add(String(value)); // an empty label is absent
    }
  }
  return [...byName]
    .map(([label, known]) => {
      const listed = [...known].map((value) => `\`${value}\``).join(" ");
      const words = isOfProcess(name) ? "" : (AT_RUN_TIME[label] ?? listed);
      return words === "" ? `\`${label}\`` : `\`${label}\`: ${words}`;
    })
    .join("; ");
}

/** The alerts, recorded series and panels that read each metric, by its name. */
function usesOf(root: string): Map<string, string[]> {
  const uses = new Map<string, string[]>();
  const note = (expr: string, by: string) => {
    for (const name of metricsIn(expr)) {
      const known = uses.get(name) ?? [];
      if (!known.includes(by)) uses.set(name, [...known, by]);
    }
  };
  for (const { kind, name, expr } of readRules(root)) {
    note(expr, kind === "alert" ? `[${name}](alerts.md#${name.toLowerCase()})` : `\`${name}\``);
  }
  for (const { title, targets = [] } of readDashboard(root).panels) {
    for (const { expr } of targets) note(expr, `“${title}”`);
  }
  return uses;
}
