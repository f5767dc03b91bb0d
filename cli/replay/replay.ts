/** `lean-aggregator replay FOLDER`: submits a recording of `serve --record` to a service. */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import { AggregatorError } from "../../client/errors.js";
import { callError } from "../io/call-error.js";
import type { CommandModules } from "../io/command.js";
import { addCommand, CommandError, ending, exitCodes } from "../io/command.js";
import type { ConnectOptions } from "../io/connect.js";
import { addConnectOptions, connect } from "../io/connect.js";
import { Progress } from "../io/progress.js";
import type { Recorded } from "./recorded.js";
import { submissionsOf, summarize } from "./recorded.js";
import type { ResubmitModules } from "./resubmit.js";
import { resubmit } from "./resubmit.js";
import { Tally, tallyTable } from "./tally.js";
import { Turns } from "./turns.js";

/** Calls for sessions at once: fewer than a service answers of one connection. */
const FOLLOWED_AT_ONCE = 16;

const help = `
FOLDER was written by 'lean-aggregator serve --record FOLDER'. Its snapshots are
submitted again: under the recorded node ids, with the budgets that were in force,
at the same distances in time. Then a table shows what became of snapshots, groups
and votes then, and now. A file that ends within a record is read up to there.

--speed 2 submits twice as fast; deadlines, fences and proofs stay as they are.
A real prover needs the keys and signatures of --record-content full. A service
with other keys or sizes refuses them: replay on 'serve --prover fake
--fake-accepts any' to see the order of events without a prover.

In virtual time, with the recorded durations, from the project's folder, also for
a recording of shapes:
  make sim-report ARGS="--recorded FOLDER"

Examples:
  lean-aggregator replay recording
  lean-aggregator replay recording --server 127.0.0.1:9290 --speed 4

Exit codes:
  0  at least as many votes are in proofs as then
  1  the service failed, refused a snapshot or cannot be reached; or Ctrl-C
  2  a flag or FOLDER is wrong; nothing was sent
  3  fewer votes are in proofs than then
`;

export interface ReplayOptions extends ConnectOptions {
  /** Snapshots come this many times as fast as recorded. */
  speed: number;
}

export function addReplayCommand(program: Command, modules: CommandModules): void {
  const summary = "submit a recording of 'serve --record' again, and compare";
  addConnectOptions(addCommand(program, "replay", { summary, help }))
    .argument("<folder>", "the folder of the recording")
    .addOption(
      new Option("--speed <factor>", "submit this many times as fast").argParser(speed).default(1),
    )
    .action(
      ending(modules, (folder: string, options: ReplayOptions) =>
        replayCommand(folder, options, modules),
      ),
    );
}

function speed(text: string): number {
  const factor = /^\d{1,4}(\.\d{1,3})?$/.test(text) ? Number(text) : 0;
  if (factor >= 0.01 && factor <= 1000) return factor;
  throw new InvalidArgumentError("Expected a number from 0.01 to 1000.");
}

async function replayCommand(
  folder: string,
  options: ReplayOptions,
  { terminal, interrupted }: Pick<CommandModules, "terminal" | "interrupted">,
): Promise<number> {
  const recorded = summarize(folder);
  if (recorded.lost > 0) terminal.err(`${recorded.lost} requests are missing in ${folder}\n`);
  const [client, follower] = [connect(options), connect(options)];
  const tally = new Tally();
  const progress = new Progress(
    (elapsedMs) => progressText(elapsedMs, recorded, options),
    terminal,
  );
  try {
    const turns = new Turns(FOLLOWED_AT_ONCE);
    const modules = { client, follower, turns, tally, interrupted: interrupted() };
    const refusals = await submitAll(folder, options.speed, modules);
    progress.stop();
    terminal.out(tallyTable(recorded.then, tally));
    const [first] = refusals;
    if (first !== undefined) throw first;
    return tally.votesProved >= recorded.then.votesProved ? exitCodes.ok : exitCodes.notAll;
  } catch (error) {
    throw await callError(error, options);
  } finally {
    progress.stop();
    client.close();
    follower.close();
  }
}

/**
 * Resolves with the errors of snapshots that were refused or lost, once all others have ended. Rejects
 * with `CommandError` when the user interrupts.
 */
async function submitAll(
  folder: string,
  factor: number,
  modules: ResubmitModules,
): Promise<AggregatorError[]> {
  const { interrupted } = modules;
  const refusals: AggregatorError[] = [];
  const open: Promise<void>[] = [];
  const run = randomBytes(4).toString("hex");
  const startedMs = performance.now();
  let firstAtMs: number | undefined;
  let nth = 0;
  for (const each of submissionsOf(folder)) {
    firstAtMs ??= each.atMs;
    const waitMs = startedMs + (each.atMs - firstAtMs) / factor - performance.now();
    if (waitMs > 0) await delay(waitMs, undefined, { signal: interrupted }).catch(() => undefined);
    throwIfInterrupted(interrupted);
    const note = (error: unknown) => {
      refusals.push(AggregatorError.from(error));
    };
    open.push(resubmit(each, `replay-${run}-${++nth}`, modules).catch(note));
  }
  await Promise.all(open);
  throwIfInterrupted(interrupted);
  return refusals;
}

function throwIfInterrupted({ aborted }: AbortSignal): void {
  if (aborted) throw new CommandError("interrupted", "replay again for the whole table");
}

function progressText(
  elapsedMs: number,
  { snapshots, durationMs }: Recorded,
  options: ReplayOptions,
): string {
  const seconds = (ms: number) => (ms / 1000).toFixed(0);
  const ofAll = seconds(durationMs / options.speed);
  return `replaying ${snapshots} snapshots: ${seconds(elapsedMs)} s of about ${ofAll} s`;
}
