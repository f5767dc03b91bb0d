/**
 * `make devnet` and its kin: the runs, one after the other, then the report on all runs in the
 * folder. Real time, real prover, real keys. With `RESUME=1` runs that are there are not made again. No run
 * begins that would end after `UNTIL`, in seconds since 1970: with `RESUME=1` the next call goes on.
 * Settings come from the environment: see `docs/devnet/README.md`.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exitOnSignals } from "../../harness/processes/end-with-process.js";
import { startCryptoProcess } from "../crypto/crypto-process.js";
import { writeReport } from "../report/write-report.js";
import { buildGoAdapter } from "./build-go.js";
import { CryptoProcesses } from "./crypto-processes.js";
import { lockFolder } from "./lock-folder.js";
import { makeRuns } from "./make-runs.js";
import { endingBy, isThere, plannedRuns } from "./plan.js";
import { runMode, type RunOptions } from "./run-mode.js";

const say = (text: string) => process.stdout.write(`${text}\n`);

/** Returns whether every run went to its end and no rule is broken. */
async function main(): Promise<boolean> {
  const { env } = process;
  const runs = plannedRuns(env);
  const missing = env["RESUME"] === "1" ? runs.filter((run) => !isThere(run)) : runs;
  const todo = endingBy(env, missing, Date.now());
  if (todo.some(({ mode }) => mode === "go")) buildGoAdapter();
  const folder = env["OUT"] ?? "out/devnet";
  mkdirSync(folder, { recursive: true });
  process.once("exit", lockFolder(folder));
  const there = runs.length - missing.length;
  if (there > 0) say(`${there} of ${runs.length} runs are there`);
  const failed = await makeAll(todo, env["LEAN_AGGREGATOR_RECORD"] || undefined);
  const left = missing.length - todo.length;
  if (left > 0) say(`\n${left} of ${runs.length} runs are left for the next call`);
  const report = env["REPORT"] ?? folder;
  const aims = writeReport({ runs: folder, report }, env["COMMAND"] ?? "make devnet");
  say("");
  for (const { text, isMet, found } of aims)
    say(`${isMet ? "met    " : "NOT MET"} ${text}: ${found}`);
  say(`report: ${join(report, "report.md")}`);
  if (failed.length > 0) say(`failed: ${failed.join(", ")}`);
  return failed.length === 0 && aims.every(({ isMet, isRule }) => isMet || !isRule);
}

/** Each with the keys of its seed. Returns the names of the runs that failed. */
async function makeAll(
  runs: readonly RunOptions[],
  recordings: string | undefined,
): Promise<string[]> {
  if (runs.length === 0) return [];
  const sockets = mkdtempSync(join(tmpdir(), "devnet-"));
  process.once("exit", () => rmSync(sockets, { recursive: true, force: true }));
  const crypto = new CryptoProcesses(sockets, (...start) => startCryptoProcess(...start, say));
  try {
    return await makeRuns(runs, {
      cryptoOf: (run) => crypto.of(run),
      makeRun: (run, own) => runMode(run, { ...own, recordings, say }),
      say,
    });
  } finally {
    await crypto.close();
  }
}

// Whatever was started ends with this process.
exitOnSignals();

main().then(
  (isGood) => process.exit(isGood ? 0 : 1),
  (error: unknown) => {
    say(`devnet failed: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
