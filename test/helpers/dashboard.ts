/** Dashboard, rules, and what a service and a node with the adapter export. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readDashboard } from "../../tools/metrics/deployed.js";
import { laneHostRegistry, nodeRegistry, serviceRegistry } from "../../tools/metrics/exported.js";

const read = (path: string) => readFileSync(join(process.cwd(), path), "utf8");
export const scrapes = {
  node: await nodeRegistry().metrics(),
  // A lane host is one of the jobs of services: it exports most of what they do.
  service: `${await serviceRegistry().metrics()}${await laneHostRegistry().metrics()}`,
};
export type Job = keyof typeof scrapes;
export const JOBS: readonly Job[] = ["node", "service"];

export const dashboard = readDashboard(process.cwd());
export const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ title, expr })),
);
export const rules = read("deploy/prometheus/rules.yml");

/**
 * Every series of a scrape: its name and labels as exported. One that is declared and has no value,
 * as the age of certificates without TLS, is without labels.
 */
export function seriesOf(job: Job): { name: string; labels: string }[] {
  const lines = scrapes[job].split("\n");
  const series = lines.flatMap((line) => {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/.exec(line);
    return match === null ? [] : [{ name: match[1] ?? "", labels: match[2] ?? "" }];
  });
  const declared = lines.flatMap((line) => {
    const [, name] = /^# TYPE (\S+) (?:gauge|counter)$/.exec(line) ?? [];
    return name === undefined || series.some((each) => each.name === name) ? [] : [name];
  });
  return [...series, ...declared.map((name) => ({ name, labels: "" }))];
}
