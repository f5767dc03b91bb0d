/**
 * A fleet of two versions: a door and a lane host of this checkout, and one of each of another. Two nodes
 * submit, each to the door that the other has in reserve; then a door is killed in a proof. So doors and
 * hosts of both versions assign, prove, verify for and adopt from each other. The prover is simulated.
 */
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { pathToFileURL } from "node:url";
import { madeUp } from "../fleet/snapshots.js";
import { VotesNode } from "../fleet/votes-node.js";
import type { SlotAccount } from "../fleet/votes-node.js";
import { exitOnSignals } from "../harness/processes/end-with-process.js";
import { Fleet } from "../harness/processes/fleet-processes.js";
import type { FleetMember } from "../harness/processes/fleet-processes.js";

const PROOF_MS = 700;
const SLOT_MS = 2500;
const SLOTS_BEFORE = 2;
const SLOTS_AFTER = 3;
const GROUPS = 2;
const VOTES = 4;

export interface MixedFleetResult {
  readonly votes: number;
  readonly proved: number;
  readonly doubled: number;
  /** Proofs of each host. */
  readonly proofs: readonly number[];
  /** Hosts that each door used before the kill. */
  readonly used: readonly number[];
  /** Proofs that the door of this version took over from the other. */
  readonly adopted: number;
}

/** @param other folder of the other checkout, which is built */
export async function mixedFleet(other: string): Promise<MixedFleetResult> {
  const fleet = await Fleet.start({
    hostFlags: ["--prover", "fake", "--fake-accepts", "any", "--fake-time", String(PROOF_MS)],
    folderOf: (id) => (id.endsWith("1") ? other : process.cwd()),
  });
  const nodes: VotesNode[] = [];
  try {
    await fleet.ready();
    const doors = await fleet.addresses();
    for (const node of [0, 1]) {
      nodes.push(
        new VotesNode({
          ...{ id: `node-${node}`, doors: node === 0 ? doors : doors.toReversed() },
          ...{ slotMs: SLOT_MS, deadlineMs: 5000, fenceMs: 8000, votesOfGroup: VOTES },
          snapshot: (slot) => madeUp(node, slot, GROUPS, VOTES),
        }),
      );
    }
    await pause(1000); // the adapters connect
    // Half a slot apart: the lanes are free for each, and the second one's proofs run at the kill.
    for (const node of nodes) {
      node.start();
      await pause(SLOT_MS / 2);
    }
    await pause(SLOT_MS * (SLOTS_BEFORE - 1 / 2) + PROOF_MS / 2);
    const used = await Promise.all(fleet.doors.map((door) => sumOf(door, "fleet_hosts", "used")));
    await fleet.doors[1]?.process.kill();
    await pause(SLOT_MS * SLOTS_AFTER - PROOF_MS);
    await Promise.all(nodes.map((node) => node.stop()));
    const total = (of: (account: SlotAccount) => number) =>
      nodes.flatMap(({ accounts }) => accounts).reduce((sum, account) => sum + of(account), 0);
    const [first] = fleet.doors;
    return {
      votes: total(({ votes }) => votes),
      proved: total(({ proved }) => proved),
      doubled: total(({ doubled }) => doubled),
      proofs: await Promise.all(fleet.hosts.map((host) => sumOf(host, "proofs_total", ""))),
      used,
      adopted: first === undefined ? 0 : await sumOf(first, "fleet_adopted_total", ""),
    };
  } finally {
    await fleet.close();
  }
}

async function sumOf({ process }: FleetMember, name: string, labels: string): Promise<number> {
  const lines = (await process.metrics()).split("\n");
  return lines
    .filter((line) => /^[a-z_]+/.exec(line)?.[0] === `lean_aggregator_server_${name}`)
    .filter((line) => line.includes(labels))
    .reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
}

async function main(): Promise<number> {
  exitOnSignals();
  const { values } = parseArgs({ options: { other: { type: "string" } } });
  const result = await mixedFleet(values.other ?? process.cwd());
  console.log(JSON.stringify(result));
  return result.proved === result.votes && result.doubled === 0 ? 0 : 1;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) process.exit(await main());
