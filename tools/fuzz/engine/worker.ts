/**
 * Fuzzes one target for a while on a thread of its own, which the main thread ends when it hangs.
 * Keeps what reaches new code, and writes every finding down as it comes.
 */
import { workerData } from "node:worker_threads";
import { CORPUS, keepInput, readCorpus, writeFinding } from "./corpus.js";
import { Coverage } from "./coverage.js";
import type { Finding } from "./fuzzer.js";
import { firstLine, Fuzzer, kindOf } from "./fuzzer.js";
import { SharedState } from "./shared-state.js";
import type { FuzzTarget } from "./target.js";

export interface WorkerOptions {
  /** URL of the target's module. */
  module: string;
  seed: number;
  seconds: number;
  /** Folder of findings, and of inputs that reached something new. */
  out: string;
  state: SharedArrayBuffer;
}

/** Runs between two looks at the coverage. */
const BATCH = 32;
const CORPUS_MAX = 2000;
/** The same mistake shows in many inputs. */
const FINDINGS_MAX = 10;

const { module, seed, seconds, out, state: buffer } = workerData as WorkerOptions;
const coverage = new Coverage();
coverage.start();
const { target } = (await import(module)) as { target: FuzzTarget };
const instance = await target.open();
const kept = [...readCorpus(CORPUS, target.name), ...readCorpus(`${out}/corpus`, target.name)];
const fuzzer = new Fuzzer(target, instance, { seed, corpus: kept });
const state = new SharedState(buffer);
const known = new Set<string>();
// What waits for a timer that holds no process, waits here too.
const alive = setInterval(() => undefined, 1000);

async function run(input: Uint8Array): Promise<void> {
  state.willRun(input);
  const finding = await fuzzer.try(input);
  if (finding !== undefined && !known.has(kindOf(finding))) await report(finding);
  state.tell(fuzzer.executions, fuzzer.corpus.length, known.size);
}

async function report(finding: Finding): Promise<void> {
  known.add(kindOf(finding));
  const shrunk = await fuzzer.shrink(finding);
  const command = writeFinding(out, target.name, shrunk);
  process.stdout.write(`\nFOUND ${firstLine(shrunk.error)}\n      ${command}\n`);
}

/** Only one by one do they tell which of them it was. */
async function keepNew(inputs: readonly Uint8Array[]): Promise<void> {
  for (const input of inputs) {
    await run(input);
    if (!coverage.isNew(true) || fuzzer.corpus.length >= CORPUS_MAX) continue;
    fuzzer.corpus.push(input);
    keepInput(`${out}/corpus`, target.name, input);
  }
}

for (const input of [...fuzzer.corpus]) await run(input);
coverage.isNew(true);
const endAtMs = performance.now() + seconds * 1000;
while (performance.now() < endAtMs && known.size < FINDINGS_MAX) {
  const inputs = Array.from({ length: BATCH }, () => fuzzer.next());
  for (const input of inputs) {
    if (performance.now() < endAtMs) await run(input);
  }
  if (coverage.isNew(false)) await keepNew(inputs);
}
await instance.close?.();
clearInterval(alive);
