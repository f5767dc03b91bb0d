/** The runs of one call, one after the other. A run that fails ends neither the call nor the others. */
import { minutesOf } from "./plan.js";
import { runName } from "./run-file.js";
import type { RunModules, RunOptions } from "./run-mode.js";

export interface BatchModules {
  /** Signer and verifier of a run, which are running. */
  cryptoOf(run: RunOptions): Promise<Pick<RunModules, "signer" | "verifier">>;
  /** Rejects where the run did not go to its end. */
  makeRun(run: RunOptions, crypto: Pick<RunModules, "signer" | "verifier">): Promise<void>;
  say(text: string): void;
}

/** Returns the names of the runs that failed. */
export async function makeRuns(
  runs: readonly RunOptions[],
  { cryptoOf, makeRun, say }: BatchModules,
): Promise<string[]> {
  const failed: string[] = [];
  for (const [at, run] of runs.entries()) {
    const left = runs.slice(at).reduce((sum, each) => sum + minutesOf(each), 0);
    const what = `${run.slots} slots, ${run.scenario.faults.length} faults`;
    say(`\nrun ${at + 1} of ${runs.length}, ${runName(run)}: ${what}`);
    say(`about ${left.toFixed(0)} minutes are left, this run included`);
    try {
      await makeRun(run, await cryptoOf(run));
    } catch (error) {
      failed.push(runName(run));
      say(`${runName(run)} failed: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return failed;
}
