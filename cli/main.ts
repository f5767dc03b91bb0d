#!/usr/bin/env node
/** The command line. Only this file reads the arguments and the environment of the process. */
import { readFileSync } from "node:fs";
import { buffer } from "node:stream/consumers";
import { isatty } from "node:tty";
import type { Terminal } from "./io/command.js";
import { ServiceSignals } from "./io/signals.js";

const isService = process.argv[2] === "serve";
const signals = new ServiceSignals(isService);
// The rest is loaded only after that, because it takes a while.
const { CommanderError } = await import("commander");
const { z } = await import("zod");
const { CommandError, exitCodes } = await import("./io/command.js");
const { dropEmptyVariables } = await import("./io/environment.js");
const { ReaderGone, writeErr, writeErrBounded, writeOut } = await import("./io/standard-output.js");
const { createProgram } = await import("./program.js");

const manifest = z
  .object({ version: z.string(), engines: z.object({ node: z.string() }) })
  .parse(JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")));

const terminal: Terminal = {
  out: (text) => writeOut(text),
  // A service that cannot start must end, also when nobody reads why.
  err: isService ? writeErrBounded : (text) => writeErr(text),
  isErrTty: isatty(2),
  readStdin: () => buffer(process.stdin),
};

function interrupted(): AbortSignal {
  const abort = new AbortController();
  process.once("SIGINT", () => abort.abort());
  return abort.signal;
}

dropEmptyVariables(process.env);
const program = createProgram({
  env: process.env,
  terminal,
  version: manifest.version,
  nodeRange: manifest.engines.node,
  interrupted,
  signals,
  exit: (code) => process.exit(code),
});

program.parseAsync().catch((error: unknown) => {
  if (error instanceof CommanderError)
    process.exit(error.exitCode === 0 ? exitCodes.ok : exitCodes.usage);
  if (!(error instanceof ReaderGone))
    terminal.err(`lean-aggregator: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(error instanceof CommandError ? error.exitCode : exitCodes.error);
});
