/** Proofs a second over 1, 2, 4 … lanes, where work is always there. */
import { setTimeout as pause } from "node:timers/promises";
import { Priority } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { madeUp } from "../../fleet/snapshots.js";
import { Fleet } from "../../harness/processes/fleet-processes.js";
import { StreamNode } from "../../harness/wire/stream-node.js";

const PROOF_MS = 2000;
const GROUPS = 8;
const WARM_MS = 4000;

export interface LanesRow {
  lanes: number;
  hosts: number;
  proofsPerSecond: number;
  /** Of what so many lanes could prove if nothing lay between two proofs. */
  share: number;
}

/** `votes`: of each group; 4 are a small message, 188 about 476 KB. */
export async function lanesRow(lanes: number, votes: number, forMs: number): Promise<LanesRow> {
  // One lane a host: several devices of one host need cores of their own, which this machine lacks.
  const hosts = lanes;
  const fake = ["--prover", "fake", "--fake-accepts", "any", "--fake-time", String(PROOF_MS)];
  const fleet = await Fleet.start({
    doors: 1,
    hosts,
    hostFlags: fake,
    doorFlags: ["--verify", "same-host"],
  });
  try {
    await fleet.ready();
    const [door = ""] = await fleet.addresses();
    let isOver = false;
    let proofs = 0;
    // Two sessions of eight groups for each four lanes keep all of them busy.
    const count = Math.max(2, Math.ceil(lanes / 4) * 2);
    const nodes = await Promise.all(
      Array.from({ length: Math.min(count, 48) }, (_, at) => StreamNode.open(door, `bench-${at}`)),
    );
    const work = nodes.map(async (node, at) => {
      node.onOutcome = (outcome) => (proofs += outcome.proof.length > 0 ? 1 : 0);
      for (let slot = 1; !isOver; slot++) {
        await node.submit({
          snapshot: { slot: BigInt(slot), ...madeUp(at, slot, GROUPS, votes) },
          deadlineMs: 60_000,
          fenceMs: 120_000,
          priority: Priority.BACKLOG,
        });
        await node.outcomesOf(String(node.submissions));
      }
    });
    await pause(WARM_MS);
    const [before, startMs] = [proofs, performance.now()];
    await pause(forMs);
    const proofsPerSecond = ((proofs - before) * 1000) / (performance.now() - startMs);
    isOver = true;
    for (const node of nodes) node.close();
    void Promise.allSettled(work);
    return { lanes, hosts, proofsPerSecond, share: proofsPerSecond / ((lanes * 1000) / PROOF_MS) };
  } finally {
    await fleet.close();
  }
}
