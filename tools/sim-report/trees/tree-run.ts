/**
 * One large group on several devices, on virtual time: the real schedule cuts it into leaves and folds.
 * Devices take what was measured on 16 cores, and have learned that before.
 */
import { OutcomeStatus } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { VirtualClock } from "../../sim/virtual-clock.js";
import type { FoldsOfProver } from "../../sim/sim-prover.js";
import { SimProver } from "../../sim/sim-prover.js";
import { proofMs } from "../blocks/block-provers.js";
import { voteGroup } from "../blocks/block-work.js";
import { toEnvelope } from "../scenario/to-submission.js";
import { EXIT_MS, SETUP_MS, VERIFY_MS } from "../scenario/truth.js";
import { virtualService } from "../policies/virtual-service.js";

const CORES = 16;
/** Signatures of the groups before the one that counts: devices learn what leaves and folds cost. */
const LEARNING = [100, 400, 400, 800, 800, 800];
const EVERY_MS = 120_000;
const LEAST_MS = 60_000;
/** 512 raw signatures take 4.0 GB, measured; larger leaves more. */
const RESIDENT_BYTES = 64e9;

export interface TreeScenario {
  seed: number;
  signatures: number;
  devices: number;
  /** What one fold takes; empty: all in one proof. */
  folds: FoldsOfProver;
}

export interface TreeResult {
  /** From the submission to the verified proof; Infinity: none. */
  readyMs: number;
  jobs: { leaves: number; folds: number };
}

export async function runTree(scenario: TreeScenario): Promise<TreeResult> {
  const { seed, signatures, devices, folds } = scenario;
  const clock = new VirtualClock();
  const jobs = { leaves: 0, folds: 0 };
  const witness = { started: () => undefined, ended: () => undefined };
  const startProver = (lane: number) =>
    new SimProver(
      {
        ...{ device: `cpu${lane}`, folds, setupMs: SETUP_MS, doesStart: true, exitMs: EXIT_MS },
        verifyMs: () => VERIFY_MS,
        residentBytes: () => 0.5e9,
        proveMs: (shape, name) => {
          jobs[shape.children > 0 ? "folds" : "leaves"]++;
          const at = `${name}/${clock.nowMs()}/${lane}`;
          return proofMs({ seed, cores: CORES, name: at, shape });
        },
      },
      clock,
      { ...witness, proofStarted: () => undefined },
    );
  const modules = { clock, lanes: devices, startProver, residentBytesMax: RESIDENT_BYTES };
  const { admission, schedules, lanes } = virtualService(modules);
  lanes.open(schedules);
  let [startedAtMs, readyMs, seq] = [0, Infinity, 0];
  for (const [before, size] of [...LEARNING, signatures].entries()) {
    const nth = before + 1;
    const validators = Array.from({ length: size }, (_, at) => at);
    clock.at(nth * EVERY_MS, () => {
      admission.expire();
      Object.assign(jobs, { leaves: 0, folds: 0 });
      [startedAtMs, readyMs] = [clock.nowMs(), Infinity];
      const limits = { deadlineMs: LEAST_MS, fenceMs: EVERY_MS - 1, steps: [], mayShed: false };
      const snapshot = { atMs: startedAtMs, node: "node", slot: nth, groups: [] };
      admission.submit(toEnvelope({ ...snapshot, ...limits, priority: 2 }, `${nth}`), () => [
        voteGroup({ name: `group ${nth}`, slot: nth, validators }),
      ]);
    });
  }
  await clock.runUntil((LEARNING.length + 2) * EVERY_MS - 1, () => {
    for (;;) {
      const read = admission.node("node").readAfter(seq);
      if (read === undefined || read === "behind") return;
      ({ seq } = read);
      if (read.event.kind !== "outcome") continue;
      const { status } = read.event.outcome;
      if (status === OutcomeStatus.PROVED || status === OutcomeStatus.PROVED_LATE) {
        readyMs = clock.nowMs() - startedAtMs;
      }
    }
  });
  return { readyMs, jobs };
}
