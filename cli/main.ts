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
const { z } = await import("zod");
const { dropEmptyVariables } = await import("./io/environment.js");
const { writeErr, writeErrBounded, writeOut } = await import("./io/standard-output.js");
const { runProgram } = await import("./program.js");

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
await runProgram(process.argv.slice(2), {
  env: process.env,
  terminal,
  version: manifest.version,
  nodeRange: manifest.engines.node,
  interrupted,
  signals,
  exit: (code) => process.exit(code),
});
