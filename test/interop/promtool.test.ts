/**
 * Prometheus's own word on the rules, and on each query of the dashboard over the series that a
 * devnet run exported.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, toJsonString } from "@bufbuild/protobuf";
import { beforeAll, describe, expect, test } from "vitest";
import { SubmitSnapshotRequestSchema } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fakeSignature, startFakeProver } from "../../server/prover/fake/fake.js";
import { dataOf, keyTable, publicKey, rootOf, snapshot } from "../../tools/harness/vectors.js";
import { commandLine } from "../helpers/command-line.js";
import { JOBS, queries, seriesOf } from "../helpers/dashboard.js";
import { jsonFile } from "../helpers/interop-json.js";
import { startTestService } from "../helpers/start-service.js";
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

  test("a service that proves 1 of 32 votes makes 'submit' end with 3, and fires the alerts", async () => {
    const service = await startTestService(() =>
      startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
    );
    try {
      const server = ["--server", service.addresses[0] ?? ""];
      const submitted = await commandLine(["submit", jsonFile(oneGoodVoteOf32()), ...server]);
      expect(submitted.stdout).toMatch(/ proved FAKE +- +1 of 32  31 bad_signature /);
      expect(submitted.stdout).toMatch(
        /: 1 of 32 votes proved \(31 bad_signature\), 1 of 1 groups proved, in \d+ ms\n$/,
      );
      expect(submitted.code).toBe(3);
      const alerts = alertsAfter(await service.metrics.registry.metrics());
      const { code, stdout, stderr } = await testRules(alerts);
      expect(code, stdout + stderr).toBe(0);
    } finally {
      await service.close();
    }
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

function oneGoodVoteOf32(): string {
  const slot = 100;
  const rawSignatures = Array.from({ length: 32 }, (_, validatorIndex) => ({
    validatorIndex,
    // All but one have signed another message.
    signature: fakeSignature(publicKey(validatorIndex), rootOf(Math.min(1, validatorIndex)), slot),
  }));
  return toJsonString(
    SubmitSnapshotRequestSchema,
    create(SubmitSnapshotRequestSchema, {
      node: { nodeId: "node-1" },
      snapshot: snapshot(slot, [{ data: dataOf(0), rawSignatures }], keyTable()),
    }),
  );
}

/** That the alerts about votes fire once the votes of this scrape have ended. */
function alertsAfter(scrape: string): string {
  const series = [...scrape.matchAll(/^lean_aggregator_server_votes_total\{(.*)\} (\d+)$/gm)];
  expect(series.length).toBeGreaterThan(30);
  const input_series = series.map(([, labels = "", value = ""]) => ({
    series: `lean_aggregator_server_votes_total{${labels}, instance="a"}`,
    // They grow by as much again and again, as with a node that submits such groups.
    values: `0+${value}x120`,
  }));
  const promql_expr_test = [
    {
      expr: 'sum by (alertname) (ALERTS{alertstate="firing"})',
      eval_time: "100m",
      exp_samples: [
        "LeanAggregatorAbsent",
        "LeanAggregatorMissesObjective",
        "LeanAggregatorProvesLittle",
        "LeanAggregatorRejectsVotes",
      ].map((alertname) => ({ labels: `{alertname="${alertname}"}`, value: 1 })),
    },
  ];
  return rulesTest({ interval: "1m", input_series, promql_expr_test });
}

function evaluationFile(expressions: readonly string[]): string {
  return rulesTest(evaluationOf(expressions));
}

/** Writes a test of the rules, as promtool reads it. */
function rulesTest(evaluation: object): string {
  const path = join(temporaryFolder(), "rules.test.yml");
  const rules = join(process.cwd(), "deploy/prometheus/rules.yml");
  const file = { rule_files: [rules], evaluation_interval: "15s", tests: [evaluation] };
  writeFileSync(path, JSON.stringify(file)); // is YAML
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
  return { interval: "15s", input_series: [...input, ...up], promql_expr_test };
}
