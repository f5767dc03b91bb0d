/** Dashboard and rules name what the service and a node with the adapter export. */
import { expect, test } from "vitest";
import { JOBS, queries, rules, scrapes, seriesOf } from "../../helpers/dashboard.js";

const exported = new Map(JOBS.map((job) => [job, new Set(seriesOf(job).map(({ name }) => name))]));
const ours = /\b(?:lean|nodejs|process)_[a-z0-9_]+\b(?!:)/g;
const isJobVariable = /^(node_job|service_job)$/;
const namesIn = (text: string) =>
  [...text.matchAll(ours)].map(([name]) => name).filter((name) => !isJobVariable.test(name));

test("every query of the dashboard names a metric that its job exports", () => {
  expect(queries.length).toBeGreaterThan(20);
  for (const { title, expr } of queries) {
    const job = expr.includes("$node_job") ? "node" : "service";
    expect(expr, title).toContain(`{job=~"$${job}_job"}`);
    for (const name of namesIn(expr))
      expect(exported.get(job), `${title}: ${name}`).toContain(name);
  }
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
  const prometheusOwn = ["instance", "job"];
  for (const [, list = ""] of code.matchAll(/by \(([^)]*)\)/g))
    for (const label of list.split(",").map((each) => each.trim()))
      if (!prometheusOwn.includes(label)) expect(text, label).toMatch(new RegExp(`[{,]${label}="`));
  for (const [, label = "", values = ""] of code.matchAll(/[{,](\w+)!?=~?"([^"$]*)"/g))
    for (const value of prometheusOwn.includes(label) ? [] : values.split("|"))
      expect(text).toContain(`${label}="${value}"`);
});
