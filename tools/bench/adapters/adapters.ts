/**
 * `make adapters`: the adapters in TypeScript, Go and Rust side by side, each as a node in a process
 * of its own. What a submission costs the node's tick, at a service at rest and while the real
 * prover has the cores; and what becomes of the votes when one of two services is killed or frozen.
 */
import { spawn, spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { endWithProcess, exitOnSignals } from "../../harness/processes/end-with-process.js";
import { processFolder } from "../../harness/processes/process-folder.js";
import { ServiceProcess } from "../../harness/processes/service-process.js";
import { wholeNumberOf } from "../../harness/whole-number.js";
import { whileProving } from "../proof-load.js";
import { withService } from "../with-service.js";
import { countFailover, faultsOf, type Failover, type NodeLine } from "./failover.js";
import { faultsOfTicks, type TickLine } from "./tick-lines.js";

const COUNT = wholeNumberOf(process.env, "COUNT", 2000);
const FAKE = ["--prover", "fake", "--fake-accepts", "any", "--fake-time", "100"];
const RUST_TARGET = process.env.CARGO_TARGET_DIR ?? "clients/rust/target";
/** Time before and after the fault, in milliseconds. */
const BEFORE_MS = 2000;
const AFTER_MS = 8000;

interface Language {
  name: string;
  /** Builds the node; undefined: nothing to build. */
  build?: readonly [folder: string, ...command: string[]];
  node: readonly [string, ...string[]];
}

const LANGUAGES: readonly Language[] = [
  { name: "TypeScript", node: [process.execPath, "dist/tools/bench/adapters/bench-node.js"] },
  {
    name: "Go",
    build: ["clients/go", "go", "build", "-o", "../../out/bench-node-go", "./cmd/leanagg-bench"],
    node: ["out/bench-node-go"],
  },
  {
    name: "Rust",
    build: ["clients/rust", "cargo", "build", "--locked", "--release", "--example", "bench_node"],
    node: [join(RUST_TARGET, "release/examples/bench_node")],
  },
];

const HELP = `Usage: make adapters

Measures the adapters in TypeScript, Go and Rust side by side and prints two tables: what a submission
costs the node's tick, and the votes when one of two services is killed or frozen. A language without
its toolchain is named and left out. Fails when a vote was lost, when the other service proved none, or
when a submission that was timed was skipped. About 12 minutes.

  COUNT=2000             submissions of each size
  ONLY=typescript,go     these languages only
  CARGO_TARGET_DIR=DIR   where Rust's node is built`;

const say = (line: string) => process.stdout.write(`${line}\n`);
const progress = (line: string) => process.stderr.write(`${line}\n`);

/** What went wrong: the exit code is 1 with any. */
const faults: string[] = [];

/** Whether the node is built. Prints why not; only a toolchain that is not there is no fault. */
function isBuilt({ name, build }: Language): boolean {
  if (build === undefined) return true;
  const [cwd, command = "", ...args] = build;
  progress(`${name}: building`);
  const { status, error } = spawnSync(command, args, { cwd, stdio: ["ignore", 2, 2] });
  if (status !== 0) say(`${name}: not measured, ${error?.message ?? `${command} failed`}`);
  if (status !== 0 && error === undefined) faults.push(`${name}: the build failed`);
  return status === 0;
}

/** Starts the node; `lines` has what it has printed so far. */
function startNode({ name, node: [file, ...args] }: Language, more: readonly string[]) {
  const child = spawn(file, [...args, ...more], { stdio: ["pipe", "pipe", "inherit"] });
  const outlived = endWithProcess(() => void child.kill("SIGKILL"));
  const lines: { atMs: number; value: unknown }[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => {
    lines.push({ atMs: performance.now(), value: JSON.parse(line) });
  });
  const ended = new Promise<void>((resolve) => {
    child.once("close", (code, signal) => {
      outlived();
      if (code !== 0) faults.push(`${name}: its node ended with ${code ?? signal}`);
      resolve();
    });
  });
  return { lines, ended, stop: () => child.stdin.end() };
}

async function ticks(language: Language, endpoint: string): Promise<TickLine[]> {
  const { lines, ended } = startNode(language, ["tick", String(COUNT), endpoint]);
  await ended;
  return lines.map(({ value }) => value as TickLine);
}

async function failover(language: Language, fault: "SIGKILL" | "SIGSTOP"): Promise<Failover> {
  const folders = [1, 2].map(() => processFolder("lean-adapters-"));
  const services = folders.map(({ path }) =>
    ServiceProcess.spawn({ flags: ["--runtime-dir", path, "--state-dir", path, ...FAKE] }),
  );
  try {
    const addresses = await Promise.all(
      services.map(async (service) => {
        await service.ready();
        return (await service.listening()).nodes;
      }),
    );
    const node = startNode(language, ["votes", ...addresses]);
    await pause(BEFORE_MS);
    const faultAtMs = performance.now();
    services[0]?.signal(fault);
    await pause(AFTER_MS);
    node.stop();
    await node.ended;
    const lines = node.lines.map(({ atMs, value }) => ({ ...(value as NodeLine), atMs }));
    return countFailover(lines, addresses[0] ?? "", faultAtMs);
  } finally {
    services[0]?.signal("SIGCONT");
    await Promise.all(services.map((service) => service.kill()));
    for (const folder of folders) folder.remove();
  }
}

const ms = (value: number | undefined) => (value === undefined ? "–" : value.toFixed(2));

if (process.argv.includes("--help")) {
  say(HELP);
  process.exit();
}
exitOnSignals();
say(`${cpus().length} cores, ${cpus()[0]?.model ?? "unknown"}; ${COUNT} submissions of each size`);
const only = process.env.ONLY?.toLowerCase() ?? "";
const isAsked = ({ name }: Language) => only === "" || only.split(",").includes(name.toLowerCase());
if (!LANGUAGES.some(isAsked)) {
  progress(`ONLY=${only} names no language: ${LANGUAGES.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
const languages = LANGUAGES.filter(isAsked).filter(isBuilt);
say(
  "\n| adapter | service | 20 KB p50 | p99 | 1 MB p50 | p99 ms |\n| --- | --- | --- | --- | --- | --- |",
);
const waits: string[] = [];
await withService(async ({ address }) => {
  const rows = async (state: string) => {
    for (const language of languages) {
      progress(`${language.name}: ${state}`);
      const lines = await ticks(language, address);
      faults.push(...faultsOfTicks(lines).map((fault) => `${language.name}, ${state}: ${fault}`));
      const [small, large] = lines;
      const cells = [small?.p50Ms, small?.p99Ms, large?.p50Ms, large?.p99Ms].map(ms);
      say(`| ${language.name} | ${state} | ${cells.join(" | ")} |`);
      const waited = large?.slowestWaited;
      if (waited !== undefined) waits.push(`${(100 * waited).toFixed(0)} % ${state}`);
    }
  };
  await rows("at rest");
  // A service of its own proves meanwhile, and has the cores.
  await withService((proving) => whileProving(proving.address, () => rows("beside a proof")));
}, FAKE);
if (waits.length > 0) {
  say(`\nOf the slowest hundredth of 1 MB in Rust, waiting for a core: ${waits.join(", ")}`);
}

say(
  "\n| adapter | fault of one of two | groups | proved | lost | skipped | other one's first proof after |",
);
say("| --- | --- | --- | --- | --- | --- | --- |");
for (const [fault, name] of [
  ["SIGKILL", "killed"],
  ["SIGSTOP", "frozen"],
] as const)
  for (const language of languages) {
    progress(`${language.name}: one of two services ${name}`);
    const row = await failover(language, fault);
    faults.push(...faultsOf(row).map((fault) => `${language.name}, ${name}: ${fault}`));
    const { submitted, proved, skipped, takeoverMs } = row;
    const cells = [submitted, proved, submitted - proved, skipped, `${ms(takeoverMs)} ms`];
    say(`| ${language.name} | ${name} | ${cells.join(" | ")} |`);
  }
for (const fault of faults) say(fault);
process.exitCode = faults.length === 0 ? 0 : 1;
