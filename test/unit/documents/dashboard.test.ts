/** Dashboard and rules name what the service and a node with the adapter export. */
import { expect, test } from "vitest";
import { metricsOnPanels, readRules } from "../../../tools/metrics/deployed.js";
import {
  laneHostRegistry,
  adapterRegistry,
  serviceRegistry,
} from "../../../tools/metrics/exported.js";
import { whyNoPanel } from "../../../tools/metrics/no-panel.js";
import { dashboard, JOBS, queries, rules, scrapes, seriesOf } from "../../helpers/dashboard.js";

const exported = new Map(JOBS.map((job) => [job, new Set(seriesOf(job).map(({ name }) => name))]));
const ours = /\b(?:lean|nodejs|process)_[a-z0-9_]+\b(?!:)/g;
const isJobVariable = /^(node_job|service_job)$/;
const namesIn = (text: string) =>
  [...text.matchAll(ours)].map(([name]) => name).filter((name) => !isJobVariable.test(name));

const recordedNames = new Set(
  readRules(process.cwd()).flatMap(({ kind, name }) => (kind === "record" ? [name] : [])),
);

test("every query of the dashboard names metrics that its job exports, or recorded ones", () => {
  expect(queries.length).toBeGreaterThan(50);
  for (const { title, expr } of queries) {
    if (expr.includes("ALERTS")) continue;
    const job = expr.includes("$node_job") ? "node" : "service";
    // Every selector names its job: otherwise a sum is over the metrics of other programs too.
    const selectors = [...expr.matchAll(/\b(?:lean_|up\b)[a-z0-9_:]+(\{[^}]*\})?/g)];
    expect(selectors.length, title).toBeGreaterThan(0);
    for (const [whole, labels] of selectors) {
      expect(labels, `${title}: ${whole}`).toContain(`job=~"$${job}_job"`);
    }
    for (const name of namesIn(expr))
      expect(exported.get(job), `${title}: ${name}`).toContain(name);
    for (const [name] of expr.matchAll(/lean_aggregator:[\w:]+/g))
      expect(recordedNames).toContain(name);
  }
});

test("every metric has a panel, or a reason why not", async () => {
  const shown = metricsOnPanels(process.cwd());
  const registries = [adapterRegistry(), serviceRegistry(), laneHostRegistry()];
  const metrics = (await Promise.all(registries.map((each) => each.getMetricsAsJSON()))).flat();
  const names = [...new Set(metrics.map(({ name }) => name))];
  expect(names.length).toBeGreaterThan(80);
  const without = names.filter((name) => !shown.has(name) && whyNoPanel(name) === undefined);
  expect(without, "add a panel, or a reason to tools/metrics/no-panel.ts").toEqual([]);
  const both = names.filter((name) => shown.has(name) && whyNoPanel(name) !== undefined);
  expect(both, "has a panel, and a reason for none").toEqual([]);
});

test("a variable lists the jobs that export a metric, and All is no more than those", () => {
  const jobs = dashboard.templating.list.filter(({ name }) => name.endsWith("_job"));
  expect(jobs.map(({ name }) => name)).toEqual(["node_job", "service_job"]);
  for (const { name, query, allValue } of jobs) {
    const text = typeof query === "string" ? query : query.query;
    const [metric = ""] = namesIn(text);
    expect(exported.get(name === "node_job" ? "node" : "service")).toContain(metric);
    expect(allValue).toBeUndefined();
  }
});

test("every panel says what it shows, and one that may be empty why it is", () => {
  for (const { title, type, description = "", targets = [], fieldConfig } of dashboard.panels) {
    if (type === "row") continue;
    expect(description, title).toMatch(/\.$/);
    const mayBeEmpty = targets.some(({ expr }) =>
      /> 0|histogram_quantile|certificate_expiry|ALERTS|\$node_job/.test(expr),
    );
    if (!mayBeEmpty && type !== "stat") continue;
    const { noValue = "" } = fieldConfig?.defaults ?? {};
    expect(noValue.length, title).toBeGreaterThan(3);
  }
});

test("the first panels are tiles that say whether it is well now", () => {
  const [row, ...tiles] = dashboard.panels.slice(0, 9);
  expect(row?.title).toBe("Is it well now?");
  expect(tiles.map(({ type }) => type)).toEqual(tiles.map(() => "stat"));
});

test("the rules name exported metrics, and each recorded name that they use is recorded", () => {
  const code = rules.replace(/^ *(#|summary:|description:).*$/gm, "");
  const names = namesIn(code.replace(/lean_aggregator:[\w:]+/g, ""));
  expect(names.length).toBeGreaterThan(8);
  for (const name of names)
    expect(
      JOBS.some((job) => exported.get(job)?.has(name)),
      name,
    ).toBe(true);
  const recorded = new Set([...code.matchAll(/record: (\S+)/g)].map(([, name = ""]) => name));
  for (const [name] of code.matchAll(/lean_aggregator:[\w:]+/g)) expect(recorded).toContain(name);
});

test("labels and their values in selectors and groupings are exported", () => {
  const text = JOBS.map((job) => scrapes[job]).join("\n");
  const code = `${queries.map(({ expr }) => expr).join("\n")}\n${rules}`;
  const prometheusOwn = ["instance", "job", "alertname", "alertstate"];
  for (const [, list = ""] of code.matchAll(/by \(([^)]*)\)/g))
    for (const label of list.split(",").map((each) => each.trim()))
      if (!prometheusOwn.includes(label)) expect(text, label).toMatch(new RegExp(`[{,]${label}="`));
  for (const [, label = "", values = ""] of code.matchAll(/[{,](\w+)!?=~?"([^"$]*)"/g))
    for (const value of prometheusOwn.includes(label) ? [] : values.split("|"))
      expect(text).toContain(`${label}="${value}"`);
});
