/**
 * `make drill`: what an operator fears, done to a fleet on this machine, each printed as slots and
 * votes lost, and slots until all is well.
 */
import { setTimeout as pause } from "node:timers/promises";
import { endWithProcess, exitOnSignals } from "../harness/processes/end-with-process.js";
import { Fleet } from "../harness/processes/fleet-processes.js";
import { scenarios } from "./scenarios.js";
import type { Scenario } from "./scenarios.js";
import { madeUp } from "./snapshots.js";
import { VotesNode } from "./votes-node.js";
import type { SlotAccount } from "./votes-node.js";

const SLOT_MS = 2000;
const SLOTS = 14;
/** The fault begins in the middle of this slot, and is repaired in the middle of that one. */
const FAULT_SLOT = 3;
const REPAIR_SLOT = 6;
const NODES = 2;
const GROUPS = 2;
const VOTES = 8;

const HELP = `Usage: make drill

Does to a fleet of two doors and two or three lane hosts what an operator fears, one thing after the other, each in
a fleet of its own, and prints for each the slots and votes lost, and how many slots after the repair
all was well. Slots of ${SLOT_MS / 1000} s, the fake prover; about ${Math.ceil((scenarios.length * (SLOTS + 4) * SLOT_MS) / 60_000)} minutes.

  ONLY=name,name   these only:
${scenarios.map(({ name, story }) => `    ${name.padEnd(22)} ${story}`).join("\n")}

Exit code 1: a fleet was not well at the end, or a group ended twice.`;

const say = (line = "") => process.stdout.write(`${line}\n`);
const progress = (line: string) => process.stderr.write(`${line}\n`);

interface Result {
  slotsHit: number;
  votes: number;
  lost: number;
  doubled: number;
  /** Slots from the repair to the first from which on all votes were proved; undefined: never. */
  slotsUntilWell: number | undefined;
}

async function drill(scenario: Scenario): Promise<Result> {
  const stage = await scenario.prepare();
  const outlived = endWithProcess(() => void stage.clear());
  const fleet = await Fleet.start({ doors: 2, hosts: 2, ...stage.options });
  try {
    await fleet.ready();
    const doors = await fleet.addresses();
    const nodes = Array.from(
      { length: NODES },
      (_, node) =>
        new VotesNode({
          id: `node-${node}`,
          doors: stage.areDoorsShared === true && node % 2 === 1 ? doors.toReversed() : doors,
          slotMs: SLOT_MS,
          deadlineMs: SLOT_MS * 0.5,
          fenceMs: SLOT_MS * 1.6,
          snapshot: (slot) => madeUp(node, slot, GROUPS, VOTES),
          votesOfGroup: VOTES,
        }),
    );
    await pause(1000); // the adapters connect
    for (const node of nodes) node.start();
    await pause((FAULT_SLOT - 0.7) * SLOT_MS);
    await stage.strike(fleet);
    await pause((REPAIR_SLOT - FAULT_SLOT) * SLOT_MS);
    await stage.repair(fleet);
    const repairedIn = Math.max(
      REPAIR_SLOT,
      ...nodes.flatMap(({ accounts }) => accounts.map(slotOf)),
    );
    await pause((SLOTS - REPAIR_SLOT) * SLOT_MS);
    await Promise.all(nodes.map((node) => node.stop()));
    const accounts = nodes.flatMap((node) => node.accounts);
    for (const { slot, votes, proved, skipped, otherwise } of accounts) {
      if (proved < votes) progress(`  slot ${slot}: ${skipped ?? otherwise.join("; ")}`);
    }
    return resultOf(accounts, repairedIn);
  } finally {
    await fleet.close();
    outlived();
    await stage.clear();
  }
}

const slotOf = ({ slot }: SlotAccount) => slot;

/** @param repairedIn the slot in which the fault was repaired */
function resultOf(accounts: readonly SlotAccount[], repairedIn: number): Result {
  const total = (of: (account: SlotAccount) => number) =>
    accounts.reduce((sum, account) => sum + of(account), 0);
  const hit = accounts.filter(({ votes, proved }) => proved < votes).map(slotOf);
  const lastHit = Math.max(0, ...hit);
  const last = Math.max(...accounts.map(slotOf));
  const votes = total((account) => account.votes);
  return {
    slotsHit: new Set(hit).size,
    votes,
    lost: votes - total((account) => account.proved),
    doubled: total((account) => account.doubled),
    slotsUntilWell: lastHit === last ? undefined : Math.max(0, lastHit + 1 - repairedIn),
  };
}

async function main(): Promise<number> {
  const only = process.env.ONLY?.split(",");
  const chosen = scenarios.filter(({ name }) => only?.includes(name) ?? true);
  const unknown = only?.filter((name) => !scenarios.some((each) => each.name === name)) ?? [];
  if (unknown.length > 0) {
    process.stderr.write(
      `drill: there is no "${unknown.join(", ")}"; see make drill ARGS=--help\n`,
    );
    return 2;
  }
  say("| drill | slots hit | votes lost | of | ended twice | slots until well |");
  say("| --- | --- | --- | --- | --- | --- |");
  let isWell = true;
  for (const scenario of chosen) {
    const why = scenario.whyNot?.();
    if (why !== undefined) {
      say(`| ${scenario.name} | not run: ${why} | | | | |`);
      continue;
    }
    progress(`${scenario.name}: ${scenario.story}`);
    const { slotsHit, votes, lost, doubled, slotsUntilWell } = await drill(scenario);
    const cells = [slotsHit, lost, votes, doubled, slotsUntilWell ?? "not well at the end"];
    say(`| ${scenario.name} | ${cells.join(" | ")} |`);
    isWell &&= slotsUntilWell !== undefined && doubled === 0;
  }
  return isWell ? 0 : 1;
}

if (process.argv.includes("--help")) say(HELP);
else {
  exitOnSignals();
  process.exit(await main());
}
