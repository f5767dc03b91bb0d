/**
 * `make bench-fleet`: what a lane over the engine adds, what a session notices of a fault, and how
 * throughput grows with lanes. Every part is a process of its own on this machine: judge ratios.
 */
import { cpus } from "node:os";
import { exitOnSignals } from "../../harness/processes/end-with-process.js";
import { wholeNumber, wholeNumberOf } from "../../harness/whole-number.js";
import { engineCost, LOADS } from "./engine-cost.js";
import { FAULTS, faultRow } from "./faults.js";
import { lanesRow } from "./lanes.js";

const HELP = `Usage: make bench-fleet

Prints three tables: what a lane over the engine adds to a session, sessions through the fault of a door,
a lane host or a nats-server, and proofs a second over more and more lanes. About 15 minutes.

  ONLY=engine,faults,lanes   these tables only
  PAIRS=20                   pairs of the first table
  FAULTS=30                  sessions of each row of the second
  PROVER=lean_pq             the real prover in the second, of proofs of about 0.9 s (default: fake, 1.5 s)
  LANES=1,2,4,8,64           rows of the third`;

const say = (line = "") => process.stdout.write(`${line}\n`);
const progress = (line: string) => process.stderr.write(`${line}\n`);
const isAsked = (table: string) => (process.env.ONLY ?? table).split(",").includes(table);
const ms = (value: number) => value.toFixed(1);

async function engineTable(): Promise<void> {
  say("\n| a session less its proof, ms | pairs | own lane | over the engine | added |");
  say("| --- | --- | --- | --- | --- |");
  for (const load of LOADS) {
    progress(load.what);
    const row = await engineCost(load, wholeNumberOf(process.env, "PAIRS", 20));
    const cells = [row.pairs, ms(row.ownMs), ms(row.engineMs), ms(row.addedMs)];
    say(`| ${row.what} | ${cells.join(" | ")} |`);
  }
}

async function faultsTable(): Promise<void> {
  say(
    "\n| fault in a proof | sessions | lost | ended twice | undisturbed | median | max ms | adopted |",
  );
  say("| --- | --- | --- | --- | --- | --- | --- | --- |");
  for (const fault of FAULTS) {
    progress(fault.what);
    const row = await faultRow(fault, wholeNumberOf(process.env, "FAULTS", 30));
    const times = [row.undisturbedMs, row.medianMs, row.maxMs].map((value) => value.toFixed(0));
    const cells = [row.sessions, row.lost, row.doubled, ...times, row.adopted];
    say(`| ${row.what} | ${cells.join(" | ")} |`);
  }
}

async function lanesTable(): Promise<void> {
  say("\n| lanes | hosts | votes of a group | proofs a second | of linear |");
  say("| --- | --- | --- | --- | --- |");
  for (const text of (process.env.LANES ?? "1,2,4,8,64").split(",")) {
    const lanes = wholeNumber(text, 1, `LANES has ${text}`);
    const votes = lanes > 8 ? 4 : 188;
    progress(`${lanes} lanes`);
    const row = await lanesRow(lanes, votes, 20_000);
    const share = `${(row.share * 100).toFixed(0)} %`;
    say(`| ${lanes} | ${row.hosts} | ${votes} | ${row.proofsPerSecond.toFixed(2)} | ${share} |`);
  }
}

if (process.argv.includes("--help")) {
  say(HELP);
} else {
  exitOnSignals();
  say(`${cpus().length} cores, ${cpus()[0]?.model ?? "unknown"}`);
  if (isAsked("engine")) await engineTable();
  if (isAsked("faults")) await faultsTable();
  if (isAsked("lanes")) await lanesTable();
  process.exit();
}
