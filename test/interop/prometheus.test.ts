/**
 * Prometheus's own word on a served process: promtool reads its page, and a Prometheus with our rules
 * scrapes it, finds it well, and notices its end.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { serviceRegistry } from "../../tools/metrics/exported.js";
import { freePorts } from "../../tools/harness/processes/free-ports.js";
import { ServiceProcess } from "../../tools/harness/processes/service-process.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";
import { hasProgram, run } from "./interop-tools.js";

const hasPromtool = hasProgram("promtool", "--version");
const hasPrometheus = hasProgram("prometheus", "--version");
const skipped = (isThere: boolean, name: string) => (isThere ? "" : ` (skipped: no ${name} here)`);

let service: ServiceProcess;
beforeAll(async () => {
  const flags = ["--prover", "fake", "--devices", "cpu", "--standby", "0"];
  service = ServiceProcess.spawn({ flags });
  await service.ready();
});
afterAll(() => service.kill());

const namesIn = (text: string) =>
  [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = ""]) => name).sort();

test("a served process exports what the document of metrics lists, and nothing else", async () => {
  const registry = serviceRegistry({ isDoor: false });
  expect(namesIn(await service.metrics())).toEqual(namesIn(await registry.metrics()));
});

test.skipIf(!hasPromtool)(
  `promtool has nothing to complain of${skipped(hasPromtool, "promtool")}`,
  async () => {
    const page = join(temporaryFolder(), "metrics.txt");
    writeFileSync(page, await service.metrics());
    const { code, stdout, stderr } = await run("promtool", ["check", "metrics"], {
      stdinFile: page,
    });
    expect(code, stdout + stderr).toBe(0);
  },
);

describe.skipIf(!hasPrometheus)(`Prometheus${skipped(hasPrometheus, "prometheus")}`, () => {
  let prometheus: ChildProcess;
  let url: string;
  beforeAll(async () => {
    const folder = temporaryFolder();
    const { probes } = await service.listening();
    const config = {
      global: { scrape_interval: "1s", evaluation_interval: "1s", scrape_timeout: "1s" },
      rule_files: [join(process.cwd(), "deploy/prometheus/rules.yml")],
      // A job of another name than the one that we propose.
      scrape_configs: [{ job_name: "provers", static_configs: [{ targets: [probes] }] }],
    };
    writeFileSync(join(folder, "prometheus.yml"), JSON.stringify(config));
    const [port = 0] = await freePorts(1);
    const address = `127.0.0.1:${port}`;
    url = `http://${address}`;
    const flags = [
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=${address}`,
    ];
    prometheus = spawn("prometheus", flags, { stdio: "ignore" });
  });
  afterAll(async () => {
    prometheus.kill("SIGKILL");
    if (prometheus.exitCode === null) await once(prometheus, "close");
  });

  const answer = z.object({
    data: z.object({
      result: z.array(
        z.object({
          metric: z.record(z.string(), z.string()),
          value: z.tuple([z.number(), z.string()]),
        }),
      ),
    }),
  });
  /** The values of the series that the query gives; none while Prometheus starts. */
  async function query(expr: string): Promise<string[]> {
    const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expr)}`).catch(
      () => undefined,
    );
    if (response?.ok !== true) return [];
    return answer.parse(await response.json()).data.result.map(({ value: [, value] }) => value);
  }
  const until = (expr: string) =>
    expect.poll(() => query(expr), { timeout: 20_000, interval: 200 });

  test("reads the page in the format that it prefers, and finds the service well", async () => {
    await until("lean_aggregator:service_up").toEqual(["1"]);
    expect(await query("lean_aggregator_server_ready")).toEqual(["1"]);
    expect(await query('lean_aggregator_server_skipped_total{reason="in_flight"}')).toEqual(["0"]);
    expect(await query("count(lean_aggregator_server_call_seconds_bucket)")).not.toEqual([]);
    expect(await query('ALERTS{alertname=~"Lean.*"}')).toEqual([]);
  });

  test("raises LeanAggregatorDown when the service is killed", async () => {
    await service.kill();
    await until('ALERTS{alertname="LeanAggregatorDown"}').toEqual(["1"]);
    expect(await query('ALERTS{alertname="LeanAggregatorAbsent"}')).toEqual([]);
  });
});
