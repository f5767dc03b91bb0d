#!/usr/bin/env node
/** The command line. Only this file reads the arguments and the environment of the process. */
import { readFileSync } from "node:fs";
import { buffer } from "node:stream/consumers";
import { CommanderError } from "commander";
import { z } from "zod";
import type { Terminal } from "./io/command.js";
import { CommandError, exitCodes } from "./io/command.js";
import { createProgram } from "./program.js";

const manifest = z
  .object({ version: z.string(), engines: z.object({ node: z.string() }) })
  .parse(JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")));

const terminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  isErrTty: Boolean(process.stderr.isTTY),
  readStdin: () => buffer(process.stdin),
};

function interrupted(): AbortSignal {
  const abort = new AbortController();
  process.once("SIGINT", () => abort.abort());
  return abort.signal;
}

/** Ends the process once everything printed has been written: a pipe may be slow. */
function exit(code: number): void {
  process.stdout.write("", () => process.exit(code));
}

// A reader that closes the pipe early, such as `head`, is not a failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? exitCodes.ok : exitCodes.error);
});

const program = createProgram({
  env: process.env,
  terminal,
  version: manifest.version,
  nodeRange: manifest.engines.node,
  interrupted,
  exit,
});

program.parseAsync().catch((error: unknown) => {
  if (error instanceof CommanderError)
    return exit(error.exitCode === 0 ? exitCodes.ok : exitCodes.usage);
  terminal.err(`lean-aggregator: ${error instanceof Error ? error.message : String(error)}\n`);
  exit(error instanceof CommandError ? error.exitCode : exitCodes.error);
});
