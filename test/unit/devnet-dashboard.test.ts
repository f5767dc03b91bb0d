/**
 * Dashboard and rules against what a devnet run really exported: `test/vectors/devnet/` holds the
 * scrapes of a node and of the service. With promtool, each query is evaluated over those series.
 */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { hasProgram, run } from "../helpers/interop-tools.js";

const read = (path: string) => readFileSync(join(process.cwd(), path), "utf8");
const scrapes = {
  node: read("test/vectors/devnet/node.metrics.txt"),
  service: read("test/vectors/devnet/service.metrics.txt"),
};
type Job = keyof typeof scrapes;
const JOBS: readonly Job[] = ["node", "service"];

interface Dashboard {
  panels: { title: string; targets?: { expr: string }[] }[];
}
const dashboard = JSON.parse(read("deploy/grafana/lean-aggregator.json")) as Dashboard;
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ title, expr })),
);
const rules = read("deploy/prometheus/rules.yml");

/** Every series of a scrape: its name and labels as exported. */
function seriesOf(job: Job): { name: string; labels: string }[] {
  return scrapes[job].split("\n").flatMap((line) => {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/.exec(line);
    return match === null ? [] : [{ name: match[1] ?? "", labels: match[2] ?? "" }];
  });
}
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
  for (const [, label = "", values = ""] of code.matchAll(/[{,](\w+)=~?"([^"$]*)"/g))
    for (const value of values.split("|")) expect(text).toContain(`${label}="${value}"`);
});

const PROMTOOL = ["promtool", join(process.cwd(), "out/bin/promtool")].find((program) =>
  hasProgram(program, "--version"),
);
const reason = PROMTOOL === undefined ? " (skipped: no promtool on the path or in out/bin)" : "";

describe.skipIf(PROMTOOL === undefined)(`promtool${reason}`, () => {
  const promtool = (...args: string[]) => run(PROMTOOL ?? "", args);

  test("the rules do what their tests say", async () => {
    const { code, stdout, stderr } = await promtool(
      "test",
      "rules",
      "deploy/prometheus/rules.test.yml",
    );
    expect(code, stdout + stderr).toBe(0);
  });

  test("every query of the dashboard gives something on the exported series", async () => {
    const folder = mkdtempSync(join(tmpdir(), "dashboard-"));
    const path = join(folder, "queries.test.yml");
    writeFileSync(path, JSON.stringify(evaluationOf(queries.map(({ expr }) => expr)))); // is YAML
    const { code, stdout, stderr } = await promtool("test", "rules", path);
    expect(code, stdout + stderr).toBe(0);
  });

  test("a query of a metric that nobody exports is found out", async () => {
    const folder = mkdtempSync(join(tmpdir(), "dashboard-"));
    const path = join(folder, "queries.test.yml");
    writeFileSync(path, JSON.stringify(evaluationOf(["rate(lean_no_such_total[1m])"])));
    const { code } = await promtool("test", "rules", path);
    expect(code).not.toBe(0);
  });
});

/** The exported series, each growing, and for each query that it is not absent on them. */
function evaluationOf(expressions: readonly string[]) {
  const input = JOBS.flatMap((job) =>
    seriesOf(job).map(({ name, labels }) => ({
      series: `${name}{${[labels, `job="${job}"`, `instance="${job}-0"`].filter(Boolean).join(",")}}`,
      values: "0+1x40",
    })),
  );
  const resolved = expressions.map((expr) =>
    expr
      .replaceAll("$__rate_interval", "1m")
      .replaceAll("$node_job", "node")
      .replaceAll("$service_job", "service"),
  );
  const promql_expr_test = resolved.map((expr) => ({
    expr: `absent(${expr})`,
    eval_time: "10m",
    exp_samples: [],
  }));
  return {
    rule_files: [],
    evaluation_interval: "15s",
    tests: [{ interval: "15s", input_series: input, promql_expr_test }],
  };
}
