/** A call of several runs: what one that fails does to the others, and to the network that it started. */
import { expect, test } from "vitest";
import { makeRuns } from "../../../../tools/devnet/run/make-runs.js";
import { plannedRuns } from "../../../../tools/devnet/run/plan.js";
import { runName } from "../../../../tools/devnet/run/run-file.js";

const runs = plannedRuns({ MODES: "inline,worker,sidecar", SLOTS: "10" });
const closed = { socketPath: "", keys: [], proposalKeys: [], close: () => Promise.resolve() };

test("a run that fails is said and named, and the runs after it are made", async () => {
  const made: string[] = [];
  const said: string[] = [];
  const failed = await makeRuns(runs, {
    cryptoOf: () => Promise.resolve({ signer: closed, verifier: closed }),
    makeRun: (run) => {
      made.push(runName(run));
      if (run.mode === "worker") return Promise.reject(new Error("node 2 ended with code 1"));
      return Promise.resolve();
    },
    say: (text) => said.push(text),
  });
  expect(made).toEqual(["full-inline-5-1", "full-worker-5-1", "full-sidecar-5-1"]);
  expect(failed).toEqual(["full-worker-5-1"]);
  expect(said).toContain("full-worker-5-1 failed: node 2 ended with code 1");
});
