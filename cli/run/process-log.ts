/** The log and the revision of a process that runs until a signal ends it: `serve` and `prove`. */
import { closeSync, readFileSync } from "node:fs";
import { isatty } from "node:tty";
import { codeOf } from "../../server/files/file-reason.js";
import { limits } from "../../server/limits.js";
import type { LogFormat, Logger, LogLevel } from "../../server/log/log.js";
import { openLog } from "../../server/log/log.js";
import { exitCodes } from "../io/command.js";

type Env = Readonly<Record<string, string | undefined>>;

/** Opens the log on standard error; whatever Node.js would print there goes into it too. */
export function openProcessLog(level: LogLevel, env: Env) {
  const opened = openLog(level, formatFor(env));
  logInsteadOfPrinting(opened.log);
  process.once("exit", () => opened.output.close(limits.logCloseMsMax));
  outliveTerminal();
  return opened;
}

/** The commit of this build, which `make build` notes beside this file; else "unknown". */
export function readRevision(): string {
  try {
    return readFileSync(new URL("../revision.txt", import.meta.url), "utf8").trim() || "unknown";
  } catch {
    return "unknown";
  }
}

/** For people when standard error is a terminal, in colour unless the user wants none. */
function formatFor({ NO_COLOR = "", TERM }: Env): LogFormat {
  if (!isatty(2)) return "json";
  return NO_COLOR === "" && TERM !== "dumb" ? "colored" : "plain";
}

/**
 * At its exit Node.js resets the terminal that it was started on, and aborts when that is closed; it
 * skips a descriptor that is not open.
 */
function outliveTerminal(): void {
  const terminals = [0, 1, 2].filter((fd) => isatty(fd));
  process.once("exit", () => terminals.filter((fd) => !isatty(fd)).forEach((fd) => closeSync(fd)));
}

/**
 * Logs warnings of Node.js, and the error that ends the process with exit code 1. Node.js itself
 * would print them, and a print to standard error waits for ever while nobody reads it.
 */
function logInsteadOfPrinting(log: Logger): void {
  process.removeAllListeners("warning");
  // Not the objects: a warning of listeners holds the process, with its environment.
  process.on("warning", (warning) => log.warn(errorLine(warning), "warning of Node.js"));
  process.on("uncaughtException", (error) => {
    log.error(errorLine(error), "unexpected error; the service ends");
    process.exit(exitCodes.error);
  });
}

/** What the log says of an error. Whatever else it holds may be secret, or have no end. */
function errorLine(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack, cause } = error;
  const code = codeOf(error);
  return { name, message, code, stack, ...(cause !== undefined && { cause: String(cause) }) };
}
