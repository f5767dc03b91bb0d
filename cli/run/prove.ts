/** `lean-aggregator prove`: runs a lane host with the settings given. */
import type { Command } from "commander";
import type { CommandModules } from "../io/command.js";
import { addCommand, ending } from "../io/command.js";
import { loaded } from "../io/load.js";
import {
  addProveOptions,
  proveNameOf,
  proveSettingsError,
  readProveSettings,
} from "./prove-settings.js";
import { canReadAgain, sourcesOf } from "./settings-sources.js";
import { startError } from "./start-error.js";

const help = `
A lane host has devices and serves no node. Services that run with the same
--engine and --engine-cell ('lean-aggregator serve --help') find it there and
assign to its lanes; the first that asks gets a lane. A proof that runs goes on
when its service dies, until its fence, and the next service takes it over.

Runs until SIGTERM, SIGINT (Ctrl-C), SIGQUIT or SIGUSR2: then its lanes take
nothing new, running proofs have the time of --drain-ms, their results are sent,
and it says goodbye. A second one kills the provers and ends it at once. SIGHUP
reloads the log level of --config, and opens the file of --audit again. SIGUSR1
does nothing.

Ready (/readyz of --probes) means: the engine is connected, and a lane can prove.

A host without the engine waits for it. What runs is ended at its fence in any
case. The host learns the votes that it proves, not which node sent them.

Devices, folders and the fake prover are as in 'lean-aggregator serve --help'.
Settings: a flag wins over its variable, a variable over the file of --config,
the file over the default. docs/operate/fleet.md has the whole of a fleet.

Examples:
  lean-aggregator prove --engine nats://127.0.0.1:4222 --prover fake
  lean-aggregator prove --engine tls://nats-0.example,tls://nats-1.example \\
    --engine-ca ca.crt --engine-certificate host-0.crt --engine-key host-0.key \\
    --devices '[{"id": "a", "cores": "0-3"}, {"id": "b", "cores": "4-7"}]'

Exit codes:
  0  ended after one signal
  1  the host failed, or a second signal ended it
  2  a flag or setting is wrong
`;

export function addProveCommand(program: Command, modules: CommandModules): void {
  const { env, version, signals } = modules;
  const summary = "run a lane host, which proves for services over an engine, until SIGTERM";
  addProveOptions(addCommand(program, "prove", { summary, help })).action(
    ending(modules, async (options: Record<string, unknown>) => {
      const sources = sourcesOf(options, env);
      const config = readProveSettings(sources);
      const { runHost } = await loaded(() => import("./run-host.js"));
      const readSettings = canReadAgain(sources) ? () => readProveSettings(sources) : undefined;
      return runHost(config, { version, env, signals, readSettings }).catch((cause: unknown) => {
        throw startError(cause, {
          what: "the lane host",
          advice:
            "run 'lean-aggregator config check prove' with the same settings, and " +
            "'lean-aggregator doctor' with its --devices,",
          settingsError: (error) => proveSettingsError(error, sources),
          nameOf: () => proveNameOf(sources)("probes") ?? "probes",
        });
      });
    }),
  );
}
