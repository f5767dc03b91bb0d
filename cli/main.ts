#!/usr/bin/env node
/** The command line. Only this file reads the arguments and the environment of the process. */
import { readFileSync } from "node:fs";
import { isatty } from "node:tty";
import { limits } from "../server/limits.js";
import { stderrOutput } from "../server/log/log-output.js";
import { loaded } from "./io/load.js";
import { ServiceSignals } from "./io/signals.js";

const isService = ["serve", "prove"].includes(process.argv[2] ?? "");
const signals = new ServiceSignals(isService);
// Never waits for a reader: a signal must end the process at once.
const errors = stderrOutput((count) => `lean-aggregator: ${count} lines are not shown\n`);
process.once("exit", () => errors.close(limits.logCloseMsMax));

/** The rest of the program, which is loaded after the signals are taken, as it takes a while. */
async function load() {
  const { z } = await import("zod");
  const manifest = z
    .object({ version: z.string(), engines: z.object({ node: z.string() }) })
    .parse(JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")));
  const { dropEmptyVariables } = await import("./io/environment.js");
  const { readStdin } = await import("./io/read-stdin.js");
  const output = await import("./io/standard-output.js");
  const { screenOf } = await import("./io/screen.js");
  const { runProgram } = await import("./program.js");
  return { manifest, dropEmptyVariables, readStdin, output, screenOf, runProgram };
}

function interrupted(names: readonly NodeJS.Signals[] = ["SIGINT"]): AbortSignal {
  const abort = new AbortController();
  const end = () => {
    for (const name of names) process.off(name, end);
    abort.abort();
  };
  for (const name of names) process.on(name, end);
  return abort.signal;
}

async function main(): Promise<void> {
  const { manifest, dropEmptyVariables, readStdin, output, screenOf, runProgram } =
    await loaded(load);
  dropEmptyVariables(process.env);
  await runProgram(process.argv.slice(2), {
    env: process.env,
    terminal: {
      // A service takes the signals that end other commands, so it must not wait for a reader.
      out: isService ? output.writeOutBounded : output.writeOut,
      outUntil: output.writeOutUntil,
      err: (text) => errors.write(text),
      isErrTty: isatty(2),
      // A terminal may say 0 when it does not know.
      errColumns: () => process.stderr.columns || undefined,
      screen: () => screenOf(process.stdout, process.stdin),
      readStdin: () => readStdin(process.stdin, limits.inputFileBytesMax),
    },
    version: manifest.version,
    nodeRange: manifest.engines.node,
    interrupted,
    signals,
    exit: (code) => process.exit(code),
  });
}

await main().catch((error: unknown) => {
  errors.write(`lean-aggregator: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
