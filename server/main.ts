#!/usr/bin/env node
/** The command line. The only place that reads argv, the environment and files of settings. */
import { readFileSync } from "node:fs";
import { Command, Option } from "commander";
import { infoCommand } from "../client/commands/info.js";
import { submitCommand } from "../client/commands/submit.js";
import { watchCommand } from "../client/commands/watch.js";
import { addAdminCommands } from "./commands/admin-commands.js";
import { doctor } from "./commands/doctor.js";
import { packageRoot, serve } from "./commands/serve.js";
import { ConfigError, configFromEnvironment, parseConfig } from "./config.js";

const USAGE_ERROR = 2;

function version(): string {
  const manifest = JSON.parse(readFileSync(`${packageRoot}/package.json`, "utf8")) as unknown;
  if (typeof manifest !== "object" || manifest === null || !("version" in manifest))
    return "unknown";
  return String(manifest.version);
}

const program = new Command("lean-aggregator")
  .description(
    "Aggregation service for lean consensus nodes: frozen snapshots in, verified proofs out",
  )
  .version(version())
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : USAGE_ERROR));

program
  .command("serve")
  .description("run the service until SIGTERM (a second one ends it at once)")
  .option("--config <file>", "JSON file of settings; flags and LEAN_AGGREGATOR_* win over it")
  .option("--listen <addresses>", "gRPC: host:port or unix:/path, comma separated (127.0.0.1:9190)")
  .option("--http <address>", "Connect/JSON, gRPC-Web, /metrics, /livez, /readyz (127.0.0.1:9191)")
  .option("--admin <address>", 'for the operator, on loopback, or "off" (127.0.0.1:9192)')
  .addOption(
    new Option("--prover <name>", "fake simulates and marks its results").choices([
      "lean_pq",
      "fake",
    ]),
  )
  .option("--deadline-ms <ms>", "start nothing later than this, where a request says nothing (750)")
  .option("--fence-ms <ms>", "a proof is worthless after this, where a request says nothing (6400)")
  .option("--drain-ms <ms>", "what a running proof gets at shutdown (2000)")
  .option("--log-level <level>", "debug, info, warn, error or silent (info)")
  .action(async ({ config: file, ...flags }: { config?: string } & Record<string, unknown>) => {
    const fromFile = file === undefined ? {} : (JSON.parse(readFileSync(file, "utf8")) as object);
    const config = parseConfig({ ...fromFile }, configFromEnvironment(process.env), flags);
    process.exit(await serve(config, version(), process.env));
  });

const server = new Option("--server <address>", "host:port or unix:/path")
  .env("LEAN_AGGREGATOR_SERVER")
  .default("127.0.0.1:9190");
const node = new Option("--node <id>", "node id to speak for").default("cli");

program
  .command("submit <file>")
  .description(
    "submit a SubmitSnapshotRequest (JSON, or binary when it ends in .bin) and wait for its outcomes",
  )
  .addOption(server)
  .addHelpText(
    "after",
    "\nExit code: 0 every group proved, 3 some were not, 4 the snapshot was skipped, 1 error.",
  )
  .action(async (file: string, options: { server: string }) => {
    process.exit(await submitCommand(file, options));
  });

program
  .command("watch")
  .description("print a node's results as they come")
  .addOption(server)
  .addOption(node)
  .action(async (options: { server: string; node: string }) => {
    process.exit(await watchCommand(options));
  });

program
  .command("info")
  .description("scheme, limits, devices and learned costs of a service")
  .addOption(server)
  .action(async (options: { server: string }) => process.exit(await infoCommand(options)));

addAdminCommands(program, {
  terminal: { out: (text) => void process.stdout.write(text) },
  exit: (code) => process.exit(code),
});

program
  .command("doctor")
  .description("is this machine fit? each line ok, or what to do")
  .action(() => process.exit(doctor()));

program.parseAsync().catch((error: unknown) => {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`lean-aggregator: ${message}\n`);
  process.exit(error instanceof ConfigError ? USAGE_ERROR : 1);
});
