/** `lean-aggregator serve`: runs the service with the settings given. */
import type { Command } from "commander";
import type { Config } from "../../server/config/config.js";
import type { CommandModules } from "../io/command.js";
import { addCommand, ending } from "../io/command.js";
import { loaded } from "../io/load.js";
import { addSettingsOptions, readSettings, settingsError, userNameOf } from "./settings.js";
import type { SettingSources } from "./settings-sources.js";
import { canReadAgain, sourcesOf } from "./settings-sources.js";
import { startError } from "./start-error.js";

const help = `
Runs until SIGTERM, SIGINT (Ctrl-C), SIGQUIT or SIGUSR2: then it accepts nothing
new, gives running proofs the time of --drain-ms, delivers their results and
ends. A second one kills the provers and ends it at once. SIGHUP, also that of a
closed terminal, reloads the policy, the certificates and the log level of
--config, and opens the file of --audit again. SIGUSR1 does nothing.

The log goes to standard error: JSON, or lines for people on a terminal. Lines
that cannot be written (a full disk, nobody reads) are dropped and counted.

Settings: a flag wins over its variable, a variable over the file of --config,
the file over the default. An empty variable is not set, and an unknown one that
begins with LEAN_AGGREGATOR_ is an error. The file is a JSON object with the
flags' names in camel case:
  {"listen": ["unix:/run/lean-aggregator/nodes.sock"], "deadlineMs": 750}

Who may call: without --policy every caller may do everything, so keep to
loopback addresses and Unix sockets. With TLS for other machines a policy is
required; see 'lean-aggregator policy --help'.

TLS is version 1.3, on every TCP address but --admin and --probes. With
--tls-client-ca a client needs a certificate of that authority. Changed files
are read again within 10 s and serve new connections.

With --engine the service also proves on the lane hosts of its cell, see
'lean-aggregator prove --help'. An engine is one or more servers of NATS; without
one that can be reached the service works on with its own devices. Servers that
other machines can reach need tls:// and know this process by its certificate,
which allows what a door may do: see deploy/nats/permissions.conf. Its files are
read anew for each connection.

A device is a name, or an object with "id" and any of:
  "cores"    cores to prove on, such as "0-3,6"; default: all
  "nice"     niceness from -20 to 19; default: 10
  "threads"  threads of a prover; default: one for each core
  "env"      environment variables, such as {"CUDA_VISIBLE_DEVICES": "0"}
  "user"     "uid:gid" to prove as, if the service is root
  "fileMb"   largest file that a prover may write, in MB; default: 0
  "cacheFolder"  where its library may keep such files; default: it is given none
  "prover"   lean_pq (default) or lean_multisig
  "fake"     with --prover fake: what the device stands for
  "backend"  {"library": …, "config": …, "calibration": …}: another prover behind
             native/include/lean_prover.h
For example:
  {"devices": [{"id": "gpu0", "cores": "0-7", "env": {"CUDA_VISIBLE_DEVICES": "0"}},
               {"id": "gpu1", "cores": "8-15", "env": {"CUDA_VISIBLE_DEVICES": "1"}}]}

--prover fake proves for tests of clients: no cores, no library, no real keys.
Every outcome says "fake", and no verifier takes its proofs for real ones. With
--fake-accepts any it takes keys and signatures of any size, unchecked; children
are its own proofs only. Times and failures by --fake-time, --fake-seed and
--fake-failures are the same in every run, proof by proof of a device. An error
ends its group as failed; after a death the group is proved once more; a hang
ends at the fence, or after 10 s.

Folders, unless set: the locks are in $RUNTIME_DIRECTORY (from systemd), for
root in /run/lean-aggregator, else in $XDG_RUNTIME_DIR/lean-aggregator or, without
one, in lean-aggregator-UID of the temporary folder. Learned costs and the id of
the service are in $STATE_DIRECTORY, for root in /var/lib/lean-aggregator, else in
$XDG_STATE_HOME/lean-aggregator or ~/.local/state/lean-aggregator. Services of
several users on the same cores need one --runtime-dir that all may write to.

Examples:
  lean-aggregator serve
  lean-aggregator serve --prover fake --log-level warn
  lean-aggregator serve --prover fake --fake-accepts any --fake-time 100-900
  lean-aggregator serve --listen unix:/run/lean-aggregator/nodes.sock
  lean-aggregator serve --listen 0.0.0.0:9190 --tls-certificate tls.crt \\
    --tls-key tls.key --tls-client-ca ca.crt --policy policy.json
  LEAN_AGGREGATOR_DEADLINE_MS=500 lean-aggregator serve --config settings.json

Exit codes:
  0  ended after one signal
  1  the service failed, or a second signal ended it
  2  a flag or setting is wrong
`;

export function addServeCommand(program: Command, modules: CommandModules): void {
  const { env, version, signals } = modules;
  const summary = "run the service until SIGTERM";
  addSettingsOptions(addCommand(program, "serve", { summary, help })).action(
    ending(modules, async (options: Record<string, unknown>) => {
      const sources = sourcesOf(options, env);
      const config = readSettings(sources);
      // Loaded only here: the service takes most of a second to load.
      const { runService } = await loaded(() => import("./run-service.js"));
      const reread = canReadAgain(sources) ? () => readSettings(sources) : undefined;
      return runService(config, { version, env, signals, readSettings: reread }).catch(
        (cause: unknown) => {
          throw startError(cause, {
            what: "the service",
            advice: "run 'lean-aggregator doctor' with the same settings",
            settingsError: (error) => settingsError(error, sources),
            nameOf: (address) => nameOf(address, config, sources),
          });
        },
      );
    }),
  );
}

/** The setting that has this address, as the user gives it. */
function nameOf(address: string, { admin, probes }: Config, sources: SettingSources): string {
  const key = address === admin ? "admin" : address === probes ? "probes" : "listen";
  return userNameOf(sources)(key) ?? key;
}
