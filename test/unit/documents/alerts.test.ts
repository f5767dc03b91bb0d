/** Each alert has a section in the runbook, tests of its own, and names only what is exported. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readRules } from "../../../tools/metrics/deployed.js";
import { JOBS, seriesOf } from "../../helpers/dashboard.js";

const read = (path: string) => readFileSync(join(process.cwd(), path), "utf8");
const alerts = readRules(process.cwd()).filter(({ kind }) => kind === "alert");
const recorded = readRules(process.cwd()).filter(({ kind }) => kind === "record");
const runbook = read("docs/operate/alerts.md");
const sections = new Map(
  runbook
    .split(/^## /m)
    .slice(1)
    .map((section): [string, string] => {
      const [title = "", ...lines] = section.split("\n");
      return [title, lines.join("\n")];
    }),
);
const tests = read("deploy/prometheus/rules.test.yml").split(/^ {2}- name: /m);

test("each alert has its section, and each section its alert, in the same order", () => {
  const titles = [...sections.keys()].filter((title) => title.startsWith("Lean"));
  expect(titles).toEqual(alerts.map(({ name }) => name));
  expect(titles.length).toBeGreaterThan(30);
});

describe.each(alerts)("$name", ({ name, text }) => {
  test("links to its section, and says what happens in words", () => {
    const anchor = `docs/operate/alerts.md#${name.toLowerCase()}`;
    expect(text).toContain(`runbook_url: "{{ $externalLabels.runbooks }}${anchor}"\n`);
    for (const key of ["summary", "description"]) expect(text).toMatch(new RegExp(`${key}: .`));
    expect(text).toMatch(/labels: \{ severity: (warning|critical) \}/);
  });

  test("has a section that says meaning, cost, what to look at and what to do", () => {
    const parts = [...(sections.get(name) ?? "").matchAll(/^- \*\*(.*?)\.\*\* \S/gm)];
    expect(parts.map(([, part]) => part)).toEqual(["Means", "Costs", "Look at", "Do"]);
  });

  test("is tested where it fires and where it does not", () => {
    const own = tests.filter((each) => each.includes(`alertname: ${name}\n`)).join("\n");
    const [, ...cases] = own.split(/- alertname: /);
    const fires = cases.filter(
      (each) => each.startsWith(`${name}\n`) && each.includes("exp_labels"),
    );
    expect(fires.length).toBeGreaterThan(0);
    const silent = cases.some(
      (each) => each.startsWith(`${name}\n`) && each.includes("exp_alerts: []"),
    );
    const instances = new Set([...own.matchAll(/instance="([^"]+)"/g)].map(([, of]) => of));
    expect(silent || instances.size > 1).toBe(true);
  });
});

test("every metric that the runbook names is exported or recorded", () => {
  const known = new Set([
    ...JOBS.flatMap((job) => seriesOf(job).map(({ name }) => name)),
    ...recorded.map(({ name }) => name),
  ]);
  const named = [...runbook.matchAll(/`(lean_[a-z0-9_:]+)/g)].map(([, name = ""]) => name);
  expect(named.length).toBeGreaterThan(5);
  for (const name of named) expect(known.has(name) || known.has(`${name}_count`), name).toBe(true);
});

test("every link within the runbook leads to a section", () => {
  const anchors = [...sections.keys()].map((title) => title.toLowerCase().replaceAll(" ", "-"));
  for (const [, anchor] of runbook.matchAll(/\]\(#([^)]+)\)/g)) expect(anchors).toContain(anchor);
});
