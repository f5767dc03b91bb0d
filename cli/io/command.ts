/** Failures as the command line tells them: what went wrong, where, and what to do about it. */
import { exitCodes } from "./exit-codes.js";

/** Ends a command with its exit code; default: 1. The three parts are sentences' ends, no stop. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly exitCode: number;

  constructor(
    what: string,
    where: string,
    todo: string,
    options: ErrorOptions & { exitCode?: number } = {},
  ) {
    super(`${what}, ${where}, ${todo}`, options);
    this.exitCode = options.exitCode ?? exitCodes.error;
  }
}

/** An input or a flag that cannot be used: exit code 2. */
export function usageError(what: string, where: string, todo: string, cause?: unknown) {
  return new CommandError(what, where, todo, { exitCode: exitCodes.usage, cause });
}
