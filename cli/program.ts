/**
 * The command tree: names, flags, help, and which function runs. Reads nothing itself: `main.ts`
 * hands in environment, streams and exit. What a command needs is loaded when it runs, so that a
 * short command does not wait for the whole service to load.
 */
import { Argument, Command, Option } from "commander";
import { CommandError } from "./io/command.js";
import type { HealthOptions } from "./health.js";
import type { InfoOptions } from "./info.js";
import { NODE_DEFAULT } from "./io/node-default.js";
import type { SubmitOptions } from "./submit.js";
import type { Terminal } from "./io/terminal.js";
import type { VerifyOptions } from "./verify.js";
import type { WatchOptions } from "./watch.js";
import { addAccessCommands } from "./access.js";
import { addAdminCommands } from "./admin/commands.js";
import type { Shell } from "./completion.js";
import { completionScript, SHELLS } from "./completion.js";
import { helpTexts } from "./help.js";
import { connectOptions, jsonOption, msOption, settingsOptions } from "./options.js";

export interface ProgramModules {
  env: Readonly<Record<string, string | undefined>>;
  terminal: Terminal;
  version: string;
  /** Of package.json's engines. */
  nodeRange: string;
  /** Aborts at SIGINT. Called by a command that ends by itself then. */
  interrupted: () => AbortSignal;
  /** Told the code when a command has ended. */
  exit: (code: number) => void;
}

const SUMMARY = "Aggregation service for lean consensus nodes: snapshots in, verified proofs out";

export function createProgram(modules: ProgramModules): Command {
  const { terminal, version } = modules;
  const program = new Command("lean-aggregator")
    .version(version)
    .description(SUMMARY)
    .addHelpText("after", helpTexts.program)
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(text.replace(/^error:/, "lean-aggregator:")),
    });
  addServiceCommands(program, modules);
  addClientCommands(program, modules);
  addAdminCommands(program, modules);
  addAccessCommands(program, modules);
  addCommand(program, "completion", "print a shell completion script")
    .addArgument(new Argument("<shell>", "whose").choices(SHELLS))
    .action(
      run(modules, (shell: Shell) => {
        terminal.out(completionScript(program, shell));
        return 0;
      }),
    );
  return program;
}

/** Those that run on the service's machine, with its settings. */
function addServiceCommands(program: Command, modules: ProgramModules): void {
  const { env, terminal, version, nodeRange } = modules;
  const sourcesOf = ({ config: file, ...flags }: { config?: string }) => ({ flags, env, file });
  const serving = addCommand(program, "serve", "run the service until SIGTERM").action(
    run(modules, async (options: object) => {
      const { readSettings, settingsError } = await import("./settings.js");
      const config = readSettings(sourcesOf(options));
      const [{ serve }, { ConfigError }] = await Promise.all([
        import("./serve.js"),
        import("../server/config.js"),
      ]);
      return serve(config, version, env).catch((cause: unknown) => {
        if (cause instanceof ConfigError) throw settingsError(cause, sourcesOf(options));
        if (cause instanceof CommandError) throw cause;
        const why = cause instanceof Error ? cause.message : String(cause);
        const todo = "'lean-aggregator doctor' says what is missing";
        throw new CommandError("the service has failed", why, todo, { cause });
      });
    }),
  );
  const about = "is this machine fit? a line a check, ok or what to do";
  const doctoring = addCommand(program, "doctor", about).action(
    run(modules, async (options: object) => {
      const config = (await import("./settings.js")).readSettings(sourcesOf(options));
      return (await import("./doctor/doctor.js")).doctor(config, nodeRange, terminal);
    }),
  );
  for (const option of settingsOptions()) {
    serving.addOption(option);
    doctoring.addOption(option);
  }
}

/** Those that talk to a running service. */
function addClientCommands(program: Command, modules: ProgramModules): void {
  const { terminal, interrupted } = modules;
  addClientCommand(program, "submit", "submit a snapshot, wait, and show how each group ended")
    .argument("<file>", "a snapshot, or -")
    .addOption(jsonOption())
    .option("--out <file>", "write the lines of --json to this file too")
    .addOption(msOption("--deadline-ms <ms>", "start no proof later (default: the file's, or 5 s)"))
    .addOption(
      msOption("--fence-ms <ms>", "keep no proof longer (default: the file's, or serve's)"),
    )
    .action(
      run(modules, async (file: string, options: SubmitOptions) => {
        const { submitCommand } = await import("./submit.js");
        return submitCommand(file, options, terminal);
      }),
    );
  addClientCommand(program, "watch", "show a node's results as they come, until SIGINT")
    .addOption(jsonOption())
    .addOption(new Option("--node <id>", "whose results").default(NODE_DEFAULT))
    .action(
      run(modules, async (options: WatchOptions) => {
        const { watchCommand } = await import("./watch.js");
        return watchCommand(options, interrupted(), terminal);
      }),
    );
  addClientCommand(program, "verify", "verify proofs against exactly the keys given")
    .argument("<file>", "outcomes or a request, or -")
    .option("--keys <file>", "the snapshot that was submitted, for outcomes")
    .action(
      run(modules, async (file: string, options: VerifyOptions) => {
        const { verifyCommand } = await import("./verify.js");
        return verifyCommand(file, options, terminal);
      }),
    );
  addClientCommand(program, "info", "show scheme, limits, devices and learned costs of a service")
    .option("--json", "the raw message")
    .action(
      run(modules, async (options: InfoOptions) => {
        const { infoCommand } = await import("./info.js");
        return infoCommand(options, terminal);
      }),
    );
  addClientCommand(program, "health", "is a service healthy? for containers: one gRPC health check")
    .option("--live", "healthy is whoever answers, ready to prove or not")
    .action(
      run(modules, async (options: HealthOptions) => {
        const { healthCommand } = await import("./health.js");
        return healthCommand(options, terminal);
      }),
    );
}

function addClientCommand(
  program: Command,
  name: "submit" | "watch" | "verify" | "info" | "health",
  summary: string,
): Command {
  const command = addCommand(program, name, summary);
  for (const option of connectOptions()) command.addOption(option);
  return command;
}

function addCommand(
  program: Command,
  name: Exclude<keyof typeof helpTexts, "program">,
  summary: string,
): Command {
  const command = program.command(name).summary(summary).description(summary);
  return command.addHelpText("after", helpTexts[name]);
}

/** An action that ends with the exit code it resolves to. */
function run<Arguments extends unknown[]>(
  { exit }: ProgramModules,
  action: (...args: Arguments) => number | Promise<number>,
): (...args: Arguments) => Promise<void> {
  return async (...args) => exit(await action(...args));
}
