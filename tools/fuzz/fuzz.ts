/**
 * `make fuzz`: every target in turn for `TIME` seconds each, or `TARGET` alone; `INPUT=file` runs
 * one input of `TARGET` again, `ONLY=n` one call of the C ABI. `SEED` makes the same inputs, `HANG` seconds without an end are a
 * finding, `OUT` takes what is found. The one argument is the folder of targets. Exit code 1 when
 * anything was found, 2 for wrong arguments.
 */
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { ABI, fuzzAbi } from "./engine/abi.js";
import { writeFinding } from "./engine/corpus.js";
import { Fuzzer } from "./engine/fuzzer.js";
import { SharedState } from "./engine/shared-state.js";
import type { FuzzTarget, NamedModule } from "./engine/target.js";
import { loadTargets } from "./engine/target.js";
import type { WorkerOptions } from "./engine/worker.js";

const SECONDS_DEFAULT = 30;
/** Nothing that is tested takes so long, on the busiest machine. */
const HANG_SECONDS_DEFAULT = 20;
const HEAP_MB_MAX = 1024;

const { env } = process;

function wrong(text: string): never {
  process.stderr.write(`fuzz: ${text}\n`);
  process.exit(2);
}

function wholeNumber(name: string, otherwise: number): number {
  const text = env[name] ?? "";
  if (!/^\d{0,9}$/.test(text)) wrong(`${name} is ${JSON.stringify(text)}, expected a whole number`);
  return text === "" ? otherwise : Number(text);
}

const seconds = wholeNumber("TIME", SECONDS_DEFAULT);
const seed = wholeNumber("SEED", Date.now() % 1e9);
const hangSeconds = wholeNumber("HANG", HANG_SECONDS_DEFAULT);
const out = env["OUT"] ?? "out/fuzz";

/** How many findings there were. */
async function fuzz({ target, module }: NamedModule): Promise<number> {
  const state = SharedState.forInputs(target.bytesMax);
  const workerData: WorkerOptions = { module, seed, seconds, out, state: state.buffer };
  const worker = new Worker(new URL("engine/worker.js", import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
  });
  const startedMs = performance.now();
  let last = { executions: 0, silentSeconds: 0 };
  let failure: string | undefined;
  const progress = setInterval(() => {
    const { executions } = state;
    const silentSeconds = executions === last.executions ? last.silentSeconds + 1 : 0;
    tell(target.name, state, startedMs, executions - last.executions);
    last = { executions, silentSeconds };
    if (silentSeconds < hangSeconds) return;
    failure = `hangs: no end after ${String(hangSeconds)} s`;
    void worker.terminate();
  }, 1000);
  worker.on("error", (error) => (failure = `ends its thread: ${String(error)}`));
  const exitCode = await new Promise<number>((resolve) => worker.on("exit", resolve));
  clearInterval(progress);
  const elapsedSeconds = (performance.now() - startedMs) / 1000;
  tell(target.name, state, startedMs, Math.round(state.executions / elapsedSeconds));
  process.stdout.write("\n");
  if (failure === undefined && exitCode !== 0)
    failure = `ends its thread: exit ${String(exitCode)}`;
  if (failure === undefined) return state.findings;
  const command = writeFinding(out, target.name, { input: state.input(), error: failure });
  process.stdout.write(`FOUND ${failure}\n      ${command}\n`);
  return state.findings + 1;
}

function tell(name: string, state: SharedState, startedMs: number, aSecond: number): void {
  const atSeconds = String(Math.round((performance.now() - startedMs) / 1000)).padStart(4);
  const { executions, corpus, findings } = state;
  const line =
    `${name.padEnd(14)} ${atSeconds} s  ${String(executions).padStart(8)} executions` +
    `  ${String(aSecond).padStart(6)}/s  corpus ${String(corpus).padStart(4)}` +
    `  ${String(findings)} findings`;
  // On a terminal one line is written over and over.
  process.stdout.write(process.stdout.isTTY ? `\r${line}` : `${line}\n`);
}

async function replay(target: FuzzTarget, file: string): Promise<number> {
  const instance = await target.open();
  const fuzzer = new Fuzzer(target, instance, { seed, corpus: [] });
  const finding = await fuzzer.try(new Uint8Array(readFileSync(file)));
  await instance.close?.();
  process.stdout.write(`${target.name}: ${finding?.error ?? "every property holds"}\n`);
  return finding === undefined ? 0 : 1;
}

async function main(): Promise<number> {
  const [, , planted] = process.argv;
  const folder = new URL(`${planted ?? "targets"}/`, import.meta.url);
  const all = await loadTargets(folder);
  const { TARGET = "", INPUT = "", ONLY = "" } = env;
  const chosen = TARGET === "" ? all : all.filter(({ target }) => target.name === TARGET);
  const hasAbi = planted === undefined && ["", ABI].includes(TARGET);
  if (chosen.length === 0 && !hasAbi) {
    const names = [...all.map(({ target }) => target.name), ABI];
    wrong(`there is no target ${TARGET}; there are ${names.join(", ")}`);
  }
  if (INPUT !== "") {
    const [only, ...others] = chosen;
    if (only === undefined || others.length > 0) wrong("INPUT needs the TARGET that it is for");
    return replay(only.target, INPUT);
  }
  process.stdout.write(`SEED=${String(seed)} TIME=${String(seconds)}\n`);
  let findings = 0;
  for (const each of chosen) findings += await fuzz(each);
  if (hasAbi) findings += await fuzzAbi({ seed, seconds, only: ONLY, out });
  process.stdout.write(`${String(findings)} findings${findings > 0 ? `, in ${out}/` : ""}\n`);
  return findings;
}

process.exit((await main()) === 0 ? 0 : 1);
