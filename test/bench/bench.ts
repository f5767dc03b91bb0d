/**
 * `make bench`: what the service adds to a bare proof, what an acknowledgement takes idle and
 * during a proof, and what the adapter takes from a tick. One run, interleaved; prints a table and
 * writes out/bench.json. PAIRS sets the pairs per shape (default 30).
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { TickAggregator } from "../../client/index.js";
import { AggregatorClient } from "../../client/aggregator-client.js";
import { readBackendFile } from "../../server/prover/backend-file.js";
import { forkProver, proverEnvironment } from "../../server/prover/process-prover.js";
import type { Prover } from "../../server/prover/prover.js";
import { concat } from "../../server/schedule/prove-group.js";
import { startTestService } from "../helpers/start-service.js";
import type { Service } from "../../server/service.js";
import {
  dataOf,
  keyTable,
  publicKey,
  raws,
  rootOf,
  snapshot,
  tampered,
} from "../helpers/vectors.js";
import type { GroupInit, SnapshotInit } from "../helpers/vectors.js";

const node = { nodeId: "bench", nodeEpoch: 1n };
const SLOT = 100;

const quantile = (values: readonly number[], q: number) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))] ??
  NaN;
const round = (value: number) => Number(value.toFixed(2));
const say = (line: string) => process.stdout.write(`${line}\n`);
const progress = (line: string) => process.stderr.write(`${line}\n`);

async function timed(run: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await run();
  return performance.now() - startedMs;
}

/** Verify the inputs, prove, verify the proof: what any caller of the prover must do. */
async function bare(prover: Prover, count: number): Promise<void> {
  const votes = raws(0, 0, count);
  const message = { root: rootOf(0), slot: SLOT };
  const keys = concat(votes.map(({ validatorIndex }) => publicKey(validatorIndex)));
  const signatures = concat(votes.map(({ signature }) => signature));
  await prover.verifySignatures(message, keys, signatures);
  const proof = await prover.aggregate({ message, keys, signatures, children: [], logInvRate: 0 });
  if (!(await prover.verifyAggregate(message, { proof, keys })))
    throw new Error("bare proof is bad");
}

async function throughService(client: AggregatorClient, groups: GroupInit[]): Promise<void> {
  const request = { node, snapshot: snapshot(SLOT, groups), deadlineMs: 30_000, fenceMs: 60_000 };
  const { result } = await client.submitSnapshot(request);
  if (result.case !== "accepted") throw new Error(`skipped: ${result.value?.detail ?? ""}`);
  const { sessionId } = result.value;
  const { session } = await client.getSession(
    { node, sessionId, waitMs: 60_000 },
    { timeoutMs: 65_000 },
  );
  if (session?.summary?.proved !== 1) throw new Error("the service did not prove the group");
}

/** Groups of about so many bytes that start no proof: tampered votes, padded with repeats. */
function sized(bytes: number): GroupInit[] {
  const votes = raws(0, 0, 8).map((vote) => ({ ...vote, signature: tampered(vote.signature) }));
  const padding = Math.max(0, Math.floor((bytes - 22_000) / 2410));
  const [first] = votes;
  if (first === undefined) throw new Error("no votes");
  return [
    { data: dataOf(0), rawSignatures: [...votes, ...Array.from({ length: padding }, () => first)] },
  ];
}

async function overhead(prover: Prover, client: AggregatorClient, pairs: number) {
  const rows = [];
  for (const count of [1, 16, 32, 64]) {
    const group = { data: dataOf(0), rawSignatures: raws(0, 0, count) };
    const bareMs: number[] = [];
    const serviceMs: number[] = [];
    await bare(prover, count);
    for (let pair = 0; pair < pairs; pair++) {
      bareMs.push(await timed(() => bare(prover, count)));
      serviceMs.push(await timed(() => throughService(client, [group])));
    }
    const addedMs = serviceMs.map((ms, at) => ms - (bareMs[at] ?? 0));
    const row = {
      raws: count,
      pairs,
      bareMs: quantile(bareMs, 0.5),
      serviceMs: quantile(serviceMs, 0.5),
      addedMs: quantile(addedMs, 0.5),
    };
    rows.push(row);
    progress(`${count} raws: ${pairs} pairs done`);
  }
  return rows;
}

/** Acknowledgements of a 1 MB snapshot that is skipped or accepted, alone or while a proof runs. */
async function acknowledgement(client: AggregatorClient, samples: number) {
  const request = {
    node: { nodeId: "ack" },
    snapshot: snapshot(SLOT, sized(1_000_000)),
    deadlineMs: 1,
    fenceMs: 1000,
  };
  const once = () => timed(() => client.submitSnapshot(request));
  const idle = [];
  const busy = [];
  for (let i = 0; i < 5; i++) await once();
  const lag = monitorEventLoopDelay({ resolution: 1 });
  for (let i = 0; i < samples; i++) idle.push(await once());
  const group = { data: dataOf(0), rawSignatures: raws(0, 0, 64) };
  while (busy.length < samples) {
    let isProving = true;
    const proof = throughService(client, [group]).finally(() => (isProving = false));
    lag.enable();
    while (isProving && busy.length < samples) busy.push(await once());
    await proof;
    lag.disable();
  }
  const of = (values: number[]) => ({
    p50Ms: quantile(values, 0.5),
    p99Ms: quantile(values, 0.99),
  });
  return { samples, idle: of(idle), busy: of(busy), loopLagP99Ms: lag.percentile(99) / 1e6 };
}

/** Synchronous time of submitOrSkip in a tick, and of the encoding that follows it. */
async function tickCost(address: string) {
  const rows = [];
  for (const bytes of [20_000, 200_000, 1_000_000]) {
    const adapter = new TickAggregator({
      endpoints: address,
      nodeId: `tick-${bytes}`,
      timeToFence: () => 20,
    });
    const { head, justified, keys, groups } = snapshot(SLOT, sized(bytes), keyTable()) as Exclude<
      SnapshotInit,
      { $typeName: string }
    >;
    const init = { head, justified, keys, groups } as ReturnType<
      Parameters<TickAggregator["submitOrSkip"]>[2]
    >;
    const costMs = [];
    for (let i = 0; i < 40; i++) {
      const startedMs = performance.now();
      adapter.submitOrSkip(SLOT + i, { isAggregator: true, hasState: true }, () => init, {
        deadlineMs: 1,
      });
      const callMs = performance.now() - startedMs;
      const encodeMs = await timed(() => new Promise((resolve) => setImmediate(resolve)));
      costMs.push({ callMs, encodeMs });
      await new Promise((resolve) => setTimeout(resolve, 60));
      adapter.takeResults(SLOT + i);
    }
    await adapter.close({ drainMs: 100 });
    const calls = costMs.map(({ callMs }) => callMs);
    const loops = costMs.map(({ encodeMs }) => encodeMs);
    rows.push({ bytes, callP99Ms: quantile(calls, 0.99), afterTickP99Ms: quantile(loops, 0.99) });
  }
  return rows;
}

function table(rows: readonly Record<string, number>[]): void {
  const [first] = rows;
  if (first === undefined) return;
  const names = Object.keys(first);
  say(names.map((name) => name.padStart(16)).join(""));
  for (const row of rows)
    say(names.map((name) => String(round(row[name] ?? NaN)).padStart(16)).join(""));
}

function startProver(deviceId: string): Prover {
  return forkProver({
    deviceId,
    hostPath: "dist/server/prover/host.js",
    backend: readBackendFile(process.cwd()),
    nice: 0,
    cores: [],
    env: proverEnvironment({ PATH: process.env["PATH"] }, {}),
    startTimeoutMs: 60_000,
  });
}

async function main(pairs: number): Promise<void> {
  progress(`about ${Math.ceil((pairs * 4 * 2 * 1.4) / 60)} minutes for ${pairs} pairs a shape`);
  const prover = startProver("bare");
  await prover.ready;
  const service: Service = await startTestService(startProver);
  const [address = ""] = service.grpcAddresses;
  const client = new AggregatorClient({ address });
  const overheadRows = await overhead(prover, client, pairs);
  prover.kill();
  await prover.exited;
  const ack = await acknowledgement(client, 200);
  const ticks = await tickCost(address);
  const memoryMb = {
    benchAndServer: process.memoryUsage().rss / 1e6,
    prover: (service.provers()[0]?.residentBytes ?? 0) / 1e6,
  };
  client.close();
  await service.close();
  const machine = `${cpus().length} cores, ${cpus()[0]?.model ?? "unknown"}, Node ${process.versions.node}`;
  say(`machine: ${machine}`);
  say("\nsubmit to result over bare verify, prove and verify (medians, ms)");
  table(overheadRows);
  say("\nacknowledgement of a 1 MB snapshot (ms)");
  table([
    {
      idleP50: ack.idle.p50Ms,
      idleP99: ack.idle.p99Ms,
      busyP50: ack.busy.p50Ms,
      busyP99: ack.busy.p99Ms,
      loopLagP99: ack.loopLagP99Ms,
    },
  ]);
  say("\nthe adapter's cost: in the tick, and on the loop right after it (ms)");
  table(ticks);
  say("\nresident memory (MB)");
  table([memoryMb]);
  mkdirSync("out", { recursive: true });
  const report = { machine, overhead: overheadRows, acknowledgement: ack, ticks, memoryMb };
  writeFileSync("out/bench.json", `${JSON.stringify(report, null, 2)}\n`);
  say("\nwritten to out/bench.json");
}

await main(Number(process.env["PAIRS"] ?? 30));
process.exit(0);
