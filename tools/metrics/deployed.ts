/** The rules and the dashboard in `deploy/`, as the metrics' document and the tests read them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** An alert or a recording rule, with its lines in rules.yml. */
export interface Rule {
  kind: "alert" | "record";
  name: string;
  /** The whole entry as YAML. */
  text: string;
  /** The query, in one line. */
  expr: string;
}

export interface Panel {
  title: string;
  type: string;
  description?: string;
  targets?: { expr: string; legendFormat?: string }[];
  fieldConfig?: { defaults?: { noValue?: string } };
}

export interface Dashboard {
  panels: Panel[];
  templating: { list: { name: string; allValue?: string; query: string | { query: string } }[] };
}

const RULES_FILE = "deploy/prometheus/rules.yml";
const DASHBOARD_FILE = "deploy/grafana/lean-aggregator.json";

/** @param root the folder of the checkout */
export function readRules(root: string): Rule[] {
  const text = readFileSync(join(root, RULES_FILE), "utf8");
  return text
    .split(/^ {6}- (?=alert:|record:)/m)
    .slice(1)
    .map((entry) => {
      const [, kind, name = ""] = /^(alert|record): (\S+)/.exec(entry) ?? [];
      const [, first = "", more = ""] = /^ {8}expr: (.*)\n((?: {10}.*\n)*)/m.exec(entry) ?? [];
      const lines = first.startsWith(">") ? more : first;
      const expr = lines.replace(/\s+/g, " ").trim();
      return { kind: kind === "alert" ? "alert" : "record", name, text: entry, expr };
    });
}

/** @param root the folder of the checkout */
export function readDashboard(root: string): Dashboard {
  return JSON.parse(readFileSync(join(root, DASHBOARD_FILE), "utf8")) as Dashboard;
}

/** The names of metrics in a query, without a histogram's suffix; recorded names among them. */
export function metricsIn(expr: string): string[] {
  const withoutLabels = expr
    .replace(/\{[^}]*\}/g, "")
    .replace(/\b(by|on|ignoring|group_left) *\([^)]*\)/g, "");
  const names = withoutLabels.match(/\b(?:lean_[a-z0-9_:]+|up|ALERTS|scrape_[a-z_]+)\b/g) ?? [];
  return [...new Set(names.map((name) => name.replace(/_bucket$|_sum$|_count$/, "")))];
}

/** Every metric that a panel of the dashboard shows, itself or by a recorded series. */
export function metricsOnPanels(root: string): ReadonlySet<string> {
  const recorded = new Map(readRules(root).map(({ name, expr }) => [name, metricsIn(expr)]));
  const shown = new Set<string>();
  const note = (expr: string) => {
    for (const name of metricsIn(expr)) {
      if (shown.has(name)) continue;
      shown.add(name);
      for (const of of recorded.get(name) ?? []) note(of);
    }
  };
  for (const { targets = [] } of readDashboard(root).panels) {
    for (const { expr } of targets) note(expr);
  }
  return shown;
}
