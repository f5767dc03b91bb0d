/** What a lane over the engine adds to a session: the same snapshots, by turns, at both services. */
import type { SnapshotInit } from "../../../client/index.js";
import { committed, madeUp } from "../../fleet/snapshots.js";
import { Fleet } from "../../harness/processes/fleet-processes.js";
import { processFolder } from "../../harness/processes/process-folder.js";
import { ServiceProcess } from "../../harness/processes/service-process.js";
import { StreamNode } from "../../harness/wire/stream-node.js";
import { quantile } from "../statistics.js";

/** Times with a lane of the service's own and with one over the engine, in milliseconds. */
export interface EngineCost {
  what: string;
  pairs: number;
  ownMs: number;
  engineMs: number;
  /** Median of the pairs' differences. */
  addedMs: number;
}

export interface Load {
  what: string;
  flags: readonly string[];
  snapshot(slot: number): SnapshotInit;
}

const FAKE = ["--prover", "fake", "--fake-accepts", "any", "--fake-time", "200"];
/** Shorter than four turns of both: until its fence a lane host gives equal work the proof it has. */
const FENCE_MS = 4000;
/** About 476 KB, and 10 MB, of signatures. */
export const LOADS: readonly Load[] = [
  { what: "476 KB, fake", flags: FAKE, snapshot: (slot) => madeUp(0, slot, 1, 188) },
  { what: "10 MB, fake", flags: FAKE, snapshot: (slot) => madeUp(0, slot, 1, 3900) },
  {
    what: "8 votes, real prover",
    flags: ["--prover", "lean_pq", "--standby", "0"],
    snapshot: (slot) => committed(0, slot, 8),
  },
];

/** Proves each snapshot at both, the first of a pair by turns. */
export async function engineCost(load: Load, pairs: number): Promise<EngineCost> {
  const folder = processFolder("lean-bench-fleet-");
  const own = ServiceProcess.spawn({
    flags: ["--runtime-dir", folder.path, "--state-dir", folder.path, ...load.flags],
  });
  const fleet = await Fleet.start({
    doors: 1,
    hosts: 1,
    hostFlags: load.flags,
    doorFlags: ["--verify", "same-host"],
  });
  try {
    await Promise.all([own.ready(), fleet.ready()]);
    const [door = ""] = await fleet.addresses();
    const [near, far] = await Promise.all([
      StreamNode.open((await own.listening()).nodes, "bench"),
      StreamNode.open(door, "bench"),
    ]);
    const times: [number, number][] = [];
    for (let pair = -2; pair < pairs; pair++) {
      const isNearFirst = pair % 2 === 0;
      const first = await timed(isNearFirst ? near : far, load.snapshot(pair + 10));
      const second = await timed(isNearFirst ? far : near, load.snapshot(pair + 10));
      // The first pairs warm both up.
      if (pair >= 0) times.push(isNearFirst ? [first, second] : [second, first]);
    }
    near.close();
    far.close();
    return {
      what: load.what,
      pairs,
      ownMs: quantile(
        times.map(([nearMs]) => nearMs),
        0.5,
      ),
      engineMs: quantile(
        times.map(([, farMs]) => farMs),
        0.5,
      ),
      addedMs: quantile(
        times.map(([nearMs, farMs]) => farMs - nearMs),
        0.5,
      ),
    };
  } finally {
    await Promise.all([own.kill(), fleet.close()]);
    folder.remove();
  }
}

/** Milliseconds from the submission to the only outcome, less the proof itself. */
async function timed(node: StreamNode, snapshot: SnapshotInit): Promise<number> {
  const startMs = performance.now();
  const { result } = await node.submit({
    snapshot: { slot: 1n, ...snapshot },
    deadlineMs: FENCE_MS,
    fenceMs: FENCE_MS,
  });
  if (result.case !== "accepted") throw new Error(`not accepted: ${result.case ?? "no answer"}`);
  const [told] = await node.outcomesOf(String(node.submissions));
  if (told === undefined || told.outcome.proof.length === 0) {
    throw new Error(`not proved: ${told?.outcome.detail ?? "no outcome"}`);
  }
  return told.atMs - startMs - told.outcome.proveMs;
}
