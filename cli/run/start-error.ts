/** The error to report when a command that runs in the foreground cannot start, or fails. */
import { ConfigError } from "../../server/config/config-error.js";
import { ListenError } from "../../server/net/bind.js";
import { CommandError } from "../io/command.js";
import { holderOf } from "./port-holder.js";

export interface StartErrorOptions {
  /** What runs, such as "the service". */
  readonly what: string;
  /** Commands that find what is missing. */
  readonly advice: string;
  /** Makes the error for wrong settings. */
  settingsError(error: ConfigError): CommandError;
  /** The setting of the address as this user gives it: a flag, a variable, or a key of the file. */
  nameOf(address: string): string;
}

export function startError(
  cause: unknown,
  { what, advice, settingsError, nameOf }: StartErrorOptions,
): CommandError {
  if (cause instanceof ConfigError) return settingsError(cause);
  if (cause instanceof CommandError) return cause;
  if (cause instanceof ListenError) {
    const { address, isTaken, todo } = cause;
    const holder = isTaken ? holderOf(address) : undefined;
    const why = holder === undefined ? cause.why : `${holder} listens there`;
    const problem = `cannot listen on ${nameOf(address)} ${address}: ${why}`;
    return new CommandError(problem, todo, { cause });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  const todo = `${advice} to see what is missing`;
  return new CommandError(`${what} failed: ${why}`, todo, { cause });
}
