/**
 * `make fleet`: a whole fleet on this machine. Nodes submit the votes of each slot to the first of
 * two doors; four lane hosts prove; three nats-servers lie between them. You kill what you like, by
 * typing it, and read what became of the votes.
 */
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { exitOnSignals } from "../harness/processes/end-with-process.js";
import { Fleet } from "../harness/processes/fleet-processes.js";
import { wholeNumberOf } from "../harness/whole-number.js";
import { act, readAct, readScript } from "./commands.js";
import type { Act } from "./commands.js";
import { committed, madeUp } from "./snapshots.js";
import { VotesNode } from "./votes-node.js";

const HELP = `Usage: make fleet

Starts three nats-servers, two doors and four lane hosts, and nodes that submit the votes of each slot.
Each slot prints which door sent the proofs, which hosts made them, and what became of the votes.
Type an act, then Enter:

  kill door-0     SIGKILL        stop host-1    SIGTERM, in order
  freeze nats-2   SIGSTOP        thaw nats-2    SIGCONT
  start door-0    start it again
  quit            what is in flight ends, and the sum is printed

  PROVER=lean_pq   the real prover, on two hosts (default: fake, which proves nothing)
  NODES=2          nodes
  SLOTS=20         ends after so many slots (default: at quit)
  SLOT_MS=4000     length of a slot
  SCRIPT="3 kill door-0; 6 start door-0"   acts by slot, for runs that nobody watches

Exit code 1: a vote was lost, or a group ended twice.`;

const isReal = process.env.PROVER === "lean_pq";
const NODES = setting("NODES", 2);
const SLOTS = process.env.SLOTS === undefined ? Infinity : setting("SLOTS", 1);
const SLOT_MS = setting("SLOT_MS", 4000);
const HOSTS = isReal ? 2 : 4;
const VOTES = isReal ? 4 : 16;
const GROUPS = isReal ? 1 : 2;
const PROVER = isReal
  ? ["--prover", "lean_pq", "--standby", "0"]
  : ["--prover", "fake", "--fake-accepts", "any", "--fake-time", "600-1200"];

const say = (line = "") => process.stdout.write(`${line}\n`);

function fail(why: string): never {
  process.stderr.write(`fleet: ${why}\n`);
  process.exit(2);
}

function setting(name: string, byDefault: number): number {
  try {
    return wholeNumberOf(process.env, name, byDefault);
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

/** Proofs that each host has made since the last call, such as "host-0 2, host-3 1". */
function proofCounter(fleet: Fleet): () => Promise<string> {
  const before = new Map<string, number>();
  const countOf = async (id: string, probes: string) => {
    const text = await fetch(`http://${probes}/metrics`, { signal: AbortSignal.timeout(500) })
      .then((response) => response.text())
      .catch(() => undefined);
    if (text === undefined) return 0;
    const lines = text.matchAll(/^lean_aggregator_server_proofs_total\{[^}]*\} (\d+)/gm);
    const count = [...lines].reduce((sum, [, value]) => sum + Number(value), 0);
    const more = count - (before.get(id) ?? 0);
    before.set(id, count);
    return Math.max(0, more);
  };
  return async () => {
    const counts = await Promise.all(
      fleet.hosts.map(async ({ id, process: host }) => {
        const probes = host.log.findLast((line) => line.probes !== undefined)?.probes;
        const count = host.isAlive && probes !== undefined ? await countOf(id, probes) : 0;
        return count === 0 ? [] : [`${id} ${count}`];
      }),
    );
    return counts.flat().join(", ") || "–";
  };
}

async function run(): Promise<number> {
  const script = readScript(process.env.SCRIPT ?? "");
  if (typeof script === "string") fail(`SCRIPT: ${script}`);
  say(`starting 3 nats-servers, 2 doors and ${HOSTS} lane hosts (${PROVER[1]})`);
  const fleet = await Fleet.start({
    nats: { servers: 3 },
    hosts: HOSTS,
    hostFlags: PROVER,
    // Ctrl-C is for this program, which ends the fleet when what is in flight has ended.
    hasOwnSession: true,
  });
  try {
    await fleet.ready();
    return await drive(fleet, script);
  } finally {
    await fleet.close();
  }
}

async function drive(fleet: Fleet, script: Map<number, Act[]>): Promise<number> {
  const doors = await fleet.addresses();
  const nameOf = new Map(doors.map((address, at) => [address, `door-${at}`]));
  const told = new Map<number, Set<string>>();
  const nodes = Array.from({ length: NODES }, (_, node) => {
    const snapshot = (slot: number) =>
      isReal ? committed(node, slot, VOTES) : madeUp(node, slot, GROUPS, VOTES);
    const onResult = (slot: number, { endpoint }: { endpoint: string | null }) => {
      const names = told.get(slot) ?? new Set();
      told.set(slot, names.add(endpoint === null ? "nobody" : (nameOf.get(endpoint) ?? endpoint)));
    };
    const times = { slotMs: SLOT_MS, deadlineMs: SLOT_MS * 0.4, fenceMs: SLOT_MS * 1.6 };
    return new VotesNode({
      id: `node-${node}`,
      doors,
      ...times,
      snapshot,
      votesOfGroup: VOTES,
      onResult,
    });
  });
  let isOver = false;
  const doIt = async (each: Act) => {
    const why = await act(fleet, each);
    say(why ?? `        ${each.target}: ${each.verb}`);
  };
  const input = createInterface({ input: process.stdin }).on("line", (line) => {
    if (line.trim() === "quit") isOver = true;
    else if (line.trim() !== "") {
      const read = readAct(line);
      if (typeof read === "string") say(read);
      else void doIt(read);
    }
  });
  // The first Ctrl-C ends what is in flight, as `quit` does; a second one does not wait for it.
  process.removeAllListeners("SIGINT").once("SIGINT", () => {
    isOver = true;
    exitOnSignals(["SIGINT"]);
  });
  await pause(1000); // the adapters connect
  say("doors, in the nodes' order: door-0, door-1. Type 'kill door-0', or 'quit'.\n");
  say("  slot  sent by          votes      after    proofs made since");
  const proofs = proofCounter(fleet);
  for (const node of nodes) node.start();
  for (let slot = 1; slot <= SLOTS && !isOver; slot++) {
    await pause(SLOT_MS / 2);
    for (const each of script.get(slot) ?? []) await doIt(each);
    await pause(SLOT_MS / 2);
    say(row(slot, nodes, told.get(slot), await proofs()));
  }
  input.close();
  say("\nends when what is in flight has ended");
  await Promise.all(nodes.map((node) => node.stop()));
  return sum(nodes);
}

function row(slot: number, nodes: readonly VotesNode[], told: Set<string> | undefined, by: string) {
  const accounts = nodes.flatMap((node) => node.accounts.filter((each) => each.slot === slot));
  const votes = accounts.reduce((total, account) => total + account.votes, 0);
  const proved = accounts.reduce((total, account) => total + account.proved, 0);
  const lastMs = Math.max(0, ...accounts.map((account) => account.lastProofMs));
  const after = proved === 0 ? "–" : `${(lastMs / 1000).toFixed(1)} s`;
  const names = [...(told ?? [])].sort().join(", ") || "–";
  const cells = [String(slot).padStart(6), names.padEnd(15), `${proved} of ${votes}`.padEnd(9)];
  return `${cells.join("  ")}  ${after.padStart(6)}    ${by}`;
}

/** Prints what became of all votes; returns the exit code. */
function sum(nodes: readonly VotesNode[]): number {
  const accounts = nodes.flatMap((node) => node.accounts);
  const total = (of: (account: (typeof accounts)[number]) => number) =>
    accounts.reduce((all, account) => all + of(account), 0);
  const [votes, proved, doubled] = [
    total((account) => account.votes),
    total((account) => account.proved),
    total((account) => account.doubled),
  ];
  const ends = new Map<string, number>();
  for (const account of accounts) {
    const ways = account.skipped === undefined ? account.otherwise : [`skip: ${account.skipped}`];
    for (const way of ways) ends.set(way, (ends.get(way) ?? 0) + 1);
  }
  const longestMs = Math.max(...nodes.map((node) => node.longestCallMs));
  say(
    `\n${proved} of ${votes} votes proved, ${votes - proved} not; groups ended twice: ${doubled}`,
  );
  for (const [way, count] of ends) say(`  ${count} × ${way}`);
  say(`longest call of an adapter in a tick: ${longestMs.toFixed(1)} ms`);
  if (!isReal) say("The prover was fake: these proofs prove nothing.");
  return proved === votes && doubled === 0 ? 0 : 1;
}

if (process.argv.includes("--help")) say(HELP);
else {
  exitOnSignals();
  process.exit(await run());
}
