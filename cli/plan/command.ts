/** `lean-aggregator plan`: how many lanes a network needs. */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import { limits } from "../../server/limits.js";
import { callError } from "../io/call-error.js";
import type { CommandModules } from "../io/command.js";
import { addCommand, ending, exitCodes, usageError } from "../io/command.js";
import type { ConnectOptions } from "../io/connect.js";
import { addConnectOptions, connect } from "../io/connect.js";
import { folderFacts, stateFolderOf } from "../run/folders.js";
import type { Network } from "./network.js";
import { groupsOf, stepsOf, subnetVotes } from "./network.js";
import { planOf } from "./plan.js";
import type { Costs } from "./sources.js";
import { fileCosts, ownCosts, serviceCosts, stateCosts } from "./sources.js";
import type { KindRow, PlanGoal } from "./text.js";
import { answerOf, answerText, planGoals, planText, shareOf } from "./text.js";

const help = `
Simulates slots of a network whose aggregators all use one service. In each slot
every aggregator submits one group: the votes of its subnet and, with
--children, proofs of other subnets to fold. Lanes prove them one after the
other, and cut them as the service does, so that most votes are ready early: a
vote counts 4 until the next interval starts, 2 until the one after it, and 1
until the fence, as the adapter asks for by default.

For each number of lanes it shows cores, memory (provers, standbys, service),
the share of votes in proofs that are ready by then, what a thousand votes cost,
and how busy a lane is. The answer is the smallest row that reaches --share.
Where the default memory of a prover is too little for the largest proof, it
names the --prover-memory-mb to give to 'serve'.

Costs are taken from the first of these:
  --costs FILE  of 'tune --out' (each layout is tried), or of --state-dir
  --server      what a service has learned of the lowest rate, as 'info' shows it
  --state-dir   what was learned on this host
  otherwise     the table of this version, of 2 cores of one server

It knows no network, no other work on the host, and no faults: with the lanes of
the answer, watch lean_aggregator_server_votes_total.

Examples:
  lean-aggregator plan --validators 1000 --subnets 8
  lean-aggregator plan --validators 64 --subnets 2 --slot-ms 6000 --intervals 4
  lean-aggregator plan --validators 1000 --subnets 8 --costs tune.json --goal accept
  lean-aggregator plan --validators 1000 --subnets 8 --json | jq .answer

Exit codes:
  0  printed; also when no number of lanes reaches --share
  1  the service of --server cannot be reached, or refused the call
  2  a flag or file is wrong
`;

const CALL_TIMEOUT_MS = 5000;
const SUBNETS_MAX = 256;
const AGGREGATORS_MAX = 64;
const GROUPS_MAX = 1024;
const CHILDREN_MAX = 16;
/** Numbers of lanes that are tried, up to one for each group. */
const LANES = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024];

interface PlanFlags extends ConnectOptions {
  validators: number;
  subnets: number;
  aggregators: number;
  slotMs: number;
  intervals: number;
  children: number;
  deadlineMs: number;
  goal: PlanGoal;
  share: number;
  laneCores?: number;
  costs?: string;
  stateDir?: string;
  json?: boolean;
}

export function addPlanCommand(program: Command, modules: CommandModules): void {
  const summary = "say how many lanes a network needs, from measured costs";
  const command = addCommand(program, "plan", { summary, help });
  addNetworkOptions(command)
    .addOption(
      new Option(
        "--goal <goal>",
        "by when votes are wanted: when the safe target is chosen, or votes are accepted",
      )
        .choices(planGoals)
        .default("safe-target" satisfies PlanGoal),
    )
    .addOption(
      number("--share <percent>", "share of votes that is wanted by then", 1, 100).default(95),
    )
    .addOption(
      number("--lane-cores <count>", "cores of a lane, where the costs do not say", 1, 1024),
    )
    .option("--costs <file>", "measured costs: a file of 'tune --out', or of a state folder")
    .option("--state-dir <folder>", "state folder of a service (default: that of 'serve')")
    .option("--json", "print rows and answer as JSON");
  addConnectOptions(command);
  command.action(
    ending(modules, async (flags: PlanFlags) => {
      const source = command.getOptionValueSource("server");
      const isServerGiven = source === "cli" || source === "env";
      return planCommand(flags, isServerGiven, modules);
    }),
  );
}

function addNetworkOptions(command: Command): Command {
  return command
    .addOption(
      number(
        "--validators <count>",
        "validators of the network",
        1,
        limits.validatorsMax,
      ).makeOptionMandatory(),
    )
    .addOption(number("--subnets <count>", "subnets with as many votes", 1, SUBNETS_MAX).default(1))
    .addOption(
      number(
        "--aggregators <count>",
        "of each subnet, with different votes",
        1,
        AGGREGATORS_MAX,
      ).default(1),
    )
    .addOption(number("--slot-ms <ms>", "length of a slot", 100, 3_600_000).default(4000))
    .addOption(
      number(
        "--intervals <count>",
        "intervals of a slot; votes are aggregated in the last but two",
        3,
        32,
      ).default(5),
    )
    .addOption(
      number("--children <count>", "proofs that each group folds", 0, CHILDREN_MAX).default(0),
    )
    .addOption(
      number(
        "--deadline-ms <ms>",
        "no proof starts later after its snapshot",
        1,
        limits.deadlineMsMax,
      ).default(750),
    );
}

async function planCommand(
  flags: PlanFlags,
  isServerGiven: boolean,
  { terminal, env }: CommandModules,
): Promise<number> {
  const { validators, subnets, aggregators, slotMs, intervals, children, deadlineMs } = flags;
  const network = { validators, subnets, aggregators, slotMs, intervals, children, deadlineMs };
  check(network);
  const { kinds, rawsMax = Infinity, notes: found } = await costsOf(flags, isServerGiven, env);
  const votes = subnetVotes(network);
  const beyond = `proofs of more than ${rawsMax} raw signatures were not measured, and a group has ${votes}: the rest is a guess`;
  const notes = [...found, ...(votes > rawsMax ? [beyond] : [])];
  const target = { goal: flags.goal, share: flags.share / 100 };
  const rows = kinds.flatMap((kind): KindRow[] => {
    const planned = planOf(network, kind, laneCounts(network));
    // Lanes beyond the first row that has the share add nothing that was asked for.
    const enough = planned.findIndex((row) => shareOf(row, target.goal) >= target.share);
    const shown = enough < 0 ? planned : planned.slice(0, enough + 1);
    return shown.map((row) => ({ ...row, kind: kind.name }));
  });
  const answer = answerText(network, rows, target);
  const json = {
    network,
    steps: stepsOf(network),
    notes,
    target,
    rows,
    answer: answerOf(rows, target) ?? null,
  };
  if (flags.json === true) terminal.out(`${JSON.stringify(json, null, 1)}\n`);
  else terminal.out(`${notes.join("\n")}\n\n${planText(network, rows, answer)}`);
  return exitCodes.ok;
}

/** Throws a usage error for numbers that do not go together. */
function check(network: Network): void {
  const { validators, subnets, aggregators } = network;
  if (subnets > validators) {
    throw usageError(`--subnets ${subnets} is above --validators ${validators}`, "lower it");
  }
  if (groupsOf(network) > GROUPS_MAX) {
    throw usageError(
      `--subnets ${subnets} with --aggregators ${aggregators} make ${groupsOf(network)} groups a slot`,
      `lower one: at most ${GROUPS_MAX}`,
    );
  }
}

function laneCounts(network: Network): number[] {
  const groups = groupsOf(network);
  return [...LANES.filter((lanes) => lanes < groups), groups];
}

async function costsOf(
  flags: PlanFlags,
  isServerGiven: boolean,
  env: CommandModules["env"],
): Promise<Costs> {
  const { costs, laneCores, stateDir } = flags;
  if (costs !== undefined) return fileCosts(costs, laneCores);
  if (isServerGiven) return serviceCosts(await devicesOf(flags), laneCores);
  if (stateDir !== undefined) return stateCosts(stateDir, laneCores);
  return ownCosts(stateFolderOf(undefined, folderFacts(env)), laneCores);
}

async function devicesOf(flags: PlanFlags) {
  const client = connect(flags);
  try {
    return (await client.getServerInfo({}, { timeoutMs: CALL_TIMEOUT_MS })).devices;
  } catch (error) {
    throw await callError(error, flags);
  } finally {
    client.close();
  }
}

function number(flags: string, text: string, min: number, max: number): Option {
  return new Option(flags, text).argParser(wholeNumber(min, max));
}

function wholeNumber(min: number, max: number) {
  return (text: string): number => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
  };
}
