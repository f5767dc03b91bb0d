/**
 * The parts of every command: how it is added to the program, the terminal that it prints to, its
 * exit codes, and the error that ends it.
 */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import type { Screen } from "./screen.js";
import type { ServiceSignals } from "./signals.js";

/** Exit codes, for scripts. The help of each command lists those that it uses. */
export const exitCodes = {
  ok: 0,
  /**
   * The service cannot be reached, refused the request, or lost the session. A retry may succeed.
   */
  error: 1,
  /** A flag, a setting or an input file is wrong. Nothing was sent. */
  usage: 2,
  /** The service answered, but not every vote is proved, or not every proof is valid. */
  notAll: 3,
  /** The service skipped the snapshot. */
  skipped: 4,
} as const;

/** The node id of a snapshot that names no node, and the default of `watch --node`. */
export const NODE_DEFAULT = "cli";

/** Where a command reads and prints: the process's own streams, or a test's. */
export interface Terminal {
  /** Prints; what a reader that has gone would read is dropped. */
  out(text: string): void;
  /**
   * Prints, too, but an abort of `signal` ends the wait for a reader; the rest is lost then. Rejects
   * with an error that ends the command when the reader has gone.
   */
  outUntil(text: string, signal: AbortSignal): Promise<void>;
  err(text: string): void;
  /** Whether `err` is a terminal, where a line may be rewritten. */
  isErrTty: boolean;
  /** The width of that terminal, in characters; undefined when unknown. Default: undefined. */
  errColumns?(): number | undefined;
  /** The screen to redraw; undefined without one, as in a pipe. Default: undefined. */
  screen?(): Screen | undefined;
  /** All of standard input. */
  readStdin(): Promise<Uint8Array>;
}

/** What `main.ts` passes to the commands from the process. */
export interface CommandModules {
  env: Readonly<Record<string, string | undefined>>;
  terminal: Terminal;
  version: string;
  /** The `engines.node` of package.json, such as `>=20.19`. */
  nodeRange: string;
  /**
   * Returns a signal that aborts at the first of these, which then does not end the process; the next
   * does. Default: SIGINT alone.
   */
  interrupted: (names?: readonly NodeJS.Signals[]) => AbortSignal;
  /** The signals of `serve`. */
  signals: Pick<ServiceSignals, "listen">;
  /** Ends the process with this code once everything printed has been written. */
  exit: (code: number) => void;
}

/** An error that ends the command with `exitCode`; default: 1. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number;

  /**
   * @param problem what is wrong, with the value or the place
   * @param todo what the user can do about it, in the imperative
   */
  constructor(problem: string, todo: string, options: ErrorOptions & { exitCode?: number } = {}) {
    super(`${problem}; ${todo}`, options);
    this.exitCode = options.exitCode ?? exitCodes.error;
  }
}

/** Returns the error for a wrong flag, setting or input file: exit code 2. */
export function usageError(problem: string, todo: string, cause?: unknown): CommandError {
  return new CommandError(problem, todo, { exitCode: exitCodes.usage, cause });
}

export interface CommandTexts {
  /** One line, for the list of commands and the head of the command's own help. */
  summary: string;
  /** The rest of the help: details, examples, exit codes. Printed as it is: wrap it at 80 columns. */
  help: string;
}

/** Adds a command with its help to the program or to a parent command. */
export function addCommand(parent: Command, name: string, texts: CommandTexts): Command {
  const { summary, help } = texts;
  return parent.command(name).summary(summary).description(summary).addHelpText("after", help);
}

/** Makes an action for commander: it ends the process with the exit code that `action` returns. */
export function ending<Arguments extends unknown[]>(
  { exit }: Pick<CommandModules, "exit">,
  action: (...args: Arguments) => number | Promise<number>,
): (...args: Arguments) => Promise<void> {
  return async (...args) => exit(await action(...args));
}

/** Makes a flag that takes the id of a node or a request, as the service accepts it. */
export function idOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text: string) => {
    if (/^[A-Za-z0-9._-]{1,64}$/.test(text)) return text;
    throw new InvalidArgumentError("Expected 1 to 64 characters of A-Z a-z 0-9 . _ -");
  });
}

/** Makes a flag that takes whole milliseconds, from 1 to `maxMs`. */
export function msOption(flags: string, description: string, maxMs: number): Option {
  return new Option(flags, description).argParser((text: string) => {
    const ms = /^\d{1,9}$/.test(text) ? Number(text) : 0;
    if (ms >= 1 && ms <= maxMs) return ms;
    throw new InvalidArgumentError(`Expected whole milliseconds from 1 to ${maxMs}.`);
  });
}
