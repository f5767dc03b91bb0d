/**
 * The command tree of `lean-aggregator`. Each command's file has its flags, help and action. None
 * reads the process: `main.ts` passes the environment, the streams and `exit` in.
 */
import { Command, CommanderError } from "commander";
import { addAdminCommands } from "./admin/admin.js";
import { addCompletionCommand } from "./completion.js";
import { addConfigCommands } from "./config-check.js";
import { addDemoCommand } from "./demo/command.js";
import { addDoctorCommand } from "./doctor/command.js";
import { addExampleCommand } from "./example/command.js";
import { addHealthCommand } from "./health.js";
import { addInfoCommand } from "./info.js";
import type { CommandModules } from "./io/command.js";
import { CommandError, exitCodes } from "./io/command.js";
import { ReaderGone } from "./io/standard-output.js";
import { unknownVariables } from "./io/environment.js";
import { addPlanCommand } from "./plan/command.js";
import { addPolicyCommands } from "./policy.js";
import { addProveCommand } from "./run/prove.js";
import { addPageCommand } from "./replay/page.js";
import { addReplayCommand } from "./replay/replay.js";
import { addServeCommand } from "./run/serve.js";
import { knownVariables } from "./run/settings.js";
import { addSetupCommand } from "./setup.js";
import { addSubmitCommand } from "./submit.js";
import { addTokenCommand } from "./token.js";
import { addTuneCommand } from "./tune/command.js";
import { addVerifyCommand } from "./verify.js";
import { addWatchCommand } from "./watch.js";

const SUMMARY = "Aggregation service for lean consensus nodes: snapshots in, verified proofs out";

const help = `
Addresses of a service (--server):
  host:port          plain text, or TLS with --tls-ca
  https://host:port  TLS
  dns:host:port      resolves the name again when a connection breaks
  unix:/path         a Unix socket

Examples:
  lean-aggregator demo
  lean-aggregator serve
  lean-aggregator example > snapshot.json
  lean-aggregator submit snapshot.json

'lean-aggregator <command> --help' explains a command, with examples and exit codes.
`;

/**
 * Runs a command to its end, which is a call of `modules.exit`. An error is printed, and decides
 * the exit code. @param args the words after the name of the program
 */
export async function runProgram(args: readonly string[], modules: CommandModules): Promise<void> {
  const { terminal, exit } = modules;
  try {
    await createProgram(modules).parseAsync(args, { from: "user" });
  } catch (error) {
    if (error instanceof CommanderError) {
      return exit(error.exitCode === 0 ? exitCodes.ok : exitCodes.usage);
    }
    if (!(error instanceof ReaderGone)) {
      terminal.err(`lean-aggregator: ${error instanceof Error ? error.message : String(error)}\n`);
    }
    exit(error instanceof CommandError ? error.exitCode : exitCodes.error);
  }
}

export function createProgram(modules: CommandModules): Command {
  const program = new Command("lean-aggregator")
    .version(modules.version, "-V, --version", "print the version")
    .description(SUMMARY)
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .addHelpText("after", help)
    .exitOverride()
    .showHelpAfterError("Add --help for the usage and examples of the command.")
    .configureOutput({
      writeOut: (text) => modules.terminal.out(text),
      writeErr: (text) => modules.terminal.err(text),
      outputError: (text, write) => write(text.replace(/^error:/, "lean-aggregator:")),
    });
  // Only a warning: a call to a wrong address, or without its token, fails with its own error.
  program.hook("preAction", (_program, { options }) => {
    if (!options.some(({ envVar }) => envVar !== undefined)) return;
    for (const text of unknownVariables(modules.env, knownVariables))
      modules.terminal.err(`warning: ${text}\n`);
  });
  addSetupCommand(program, modules);
  addDemoCommand(program, modules);
  addServeCommand(program, modules);
  addProveCommand(program, modules);
  addDoctorCommand(program, modules);
  addTuneCommand(program, modules);
  addPlanCommand(program, modules);
  addExampleCommand(program, modules);
  addSubmitCommand(program, modules);
  addReplayCommand(program, modules);
  addPageCommand(program, modules);
  addWatchCommand(program, modules);
  addVerifyCommand(program, modules);
  addInfoCommand(program, modules);
  addHealthCommand(program, modules);
  addAdminCommands(program, modules);
  addTokenCommand(program, modules);
  addPolicyCommands(program, modules);
  addConfigCommands(program, modules);
  addCompletionCommand(program, modules);
  program
    .command("version")
    .description("print the version, as --version does")
    .action(() => {
      modules.terminal.out(`${modules.version}\n`);
      modules.exit(exitCodes.ok);
    });
  return program;
}
