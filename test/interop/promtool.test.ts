/**
 * Prometheus's own word on the rules, and on each query of the dashboard over the series that a
 * devnet run exported.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { JOBS, queries, seriesOf } from "../helpers/dashboard.js";
import {
  hasProgram,
  installPromtool,
  promtool,
  PROMTOOL_TIMEOUT_MS,
  run,
} from "./interop-tools.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

const isMissing = !hasProgram(promtool(), "--version") && !hasProgram("go", "version");
const reason = isMissing ? " (skipped: neither promtool nor go is there)" : "";

describe.skipIf(isMissing)(`promtool${reason}`, () => {
  beforeAll(installPromtool, PROMTOOL_TIMEOUT_MS);
  const testRules = (file: string) => run(promtool(), ["test", "rules", file]);

  test("the rules do what their tests say", async () => {
    const { code, stdout, stderr } = await testRules("deploy/prometheus/rules.test.yml");
    expect(code, stdout + stderr).toBe(0);
  });

  test("every query of the dashboard gives something on the exported series", async () => {
    const all = queries.map(({ expr }) => expr);
    const { code, stdout, stderr } = await testRules(evaluationFile(all));
    expect(code, stdout + stderr).toBe(0);
  });

  test("a query of a metric that nobody exports is found out", async () => {
    const { code } = await testRules(evaluationFile(["rate(lean_no_such_total[1m])"]));
    expect(code).not.toBe(0);
  });
});

function evaluationFile(expressions: readonly string[]): string {
  const path = join(temporaryFolder(), "queries.test.yml");
  writeFileSync(path, JSON.stringify(evaluationOf(expressions))); // is YAML
  return path;
}

/** The exported series, each growing, and for each query that it is not absent on them. */
function evaluationOf(expressions: readonly string[]) {
  const input = JOBS.flatMap((job) =>
    seriesOf(job).map(({ name, labels }) => ({
      series: `${name}{${[labels, `job="${job}"`, `instance="${job}-0"`].filter(Boolean).join(",")}}`,
      values: "0+1x40",
    })),
  );
  const up = JOBS.map((job) => ({
    series: `up{job="${job}", instance="${job}-0"}`,
    values: "1x40",
  }));
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
    rule_files: [join(process.cwd(), "deploy/prometheus/rules.yml")],
    evaluation_interval: "15s",
    tests: [{ interval: "15s", input_series: [...input, ...up], promql_expr_test }],
  };
}
