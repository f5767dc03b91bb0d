/**
 * `two-versions.sh` runs this: this checkout's adapter against the services of another checkout. Two
 * services with the simulated prover serve one node; one is killed in a proof and started again. The
 * program prints how the groups ended, and fails when one was not proved, also when it was never taken.
 */
import { parseArgs } from "node:util";
import { TickAggregator, type TickResult } from "../../client/index.js";
import { OutcomeStatus } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { exitOnSignals } from "../harness/processes/end-with-process.js";
import { ServiceProcess } from "../harness/processes/service-process.js";
import { fakeGroups, fakeSnapshot } from "./fake-votes.js";
import { verdictOf } from "./verdict.js";

const SLOTS = 6;
/** Time from one submission to the next, in milliseconds: longer than a proof takes. */
const SLOT_MS = 1500;
const PROOF_MS = 300;
const FENCE_MS = 6000;
const GATES = { isAggregator: true, hasState: true };
/** The slot during whose proof the first service is killed. */
const KILLED_SLOT = 3;

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function serve(folder: string, listen: string): ServiceProcess {
  const flags = ["--prover", "fake", "--fake-time", String(PROOF_MS)];
  return ServiceProcess.spawn({ folder, flags, env: { LEAN_AGGREGATOR_LISTEN: listen } });
}

function describe(result: TickResult): string {
  if (result.kind !== "outcome") return result.kind;
  const { status } = result.outcome;
  return OutcomeStatus[status].toLowerCase();
}

async function roundTrip(folder: string): Promise<boolean> {
  const [first, second] = [serve(folder, "127.0.0.1:0"), serve(folder, "127.0.0.1:0")];
  const addresses = await Promise.all(
    [first, second].map(async (service) => {
      await service.ready();
      return (await service.listening()).nodes;
    }),
  );
  const [address = ""] = addresses;
  const endings: string[] = [];
  const node = new TickAggregator({
    endpoints: addresses,
    nodeId: "two-versions",
    timeToFence: () => FENCE_MS,
    deadlineMs: FENCE_MS,
    onSkip: (reason) => endings.push(`skipped ${reason}`), // after its submission
  });
  let again: ServiceProcess | undefined;
  let asked = 0;
  for (let slot = 1; slot <= SLOTS; slot++) {
    asked += fakeGroups(slot).length;
    const answer = node.submitOrSkip(slot, GATES, () => fakeSnapshot(slot));
    if ("skipped" in answer) endings.push(`skipped ${answer.skipped}`);
    await pause(PROOF_MS / 2);
    if (slot === KILLED_SLOT) await first.kill();
    if (slot === KILLED_SLOT + 1) again = serve(folder, address);
    await pause(SLOT_MS - PROOF_MS / 2);
    endings.push(...node.takeResults(slot).map(describe));
  }
  await node.close({ drainMs: FENCE_MS });
  endings.push(...node.takeResults(SLOTS).map(describe));
  await Promise.all([second.stop(), again?.stop()]);
  const { row, isGood } = verdictOf(asked, endings);
  console.log(row);
  return isGood;
}

const { values } = parseArgs({
  options: { service: { type: "string" }, help: { type: "boolean" } },
});
if (values.help === true) {
  console.log(
    "Usage: round-trip.js [--service FOLDER]\n\nThe adapter of this checkout against the",
  );
  console.log("services built in FOLDER (default: this checkout): groups asked, proved, endings.");
} else {
  exitOnSignals();
  process.exitCode = (await roundTrip(values.service ?? process.cwd())) ? 0 : 1;
}
