/** `lean-aggregator config check`: are the settings valid, and which would be in force? */
import type { Command } from "commander";
import type { Config } from "../server/config/config.js";
import { ConfigError } from "../server/config/config-error.js";
import { checkDevicePlaces } from "./doctor/device-places.js";
import { checkAudit, checkTls } from "./doctor/file-checks.js";
import type { Finding } from "./doctor/finding.js";
import { checkFatalFolder, checkRecordFolder } from "./doctor/folder-checks.js";
import type { CommandError, CommandModules, Terminal } from "./io/command.js";
import { addCommand, ending, exitCodes, usageError } from "./io/command.js";
import { formatTable } from "./io/table.js";
import { readPolicy } from "./policy.js";
import type { FolderFacts } from "./run/folders.js";
import { folderFacts, runtimeFolderOf, stateFolderOf } from "./run/folders.js";
import { addProveOptions, proveSettings, proveSettingsError } from "./run/prove-settings.js";
import { addSettingsOptions, serveSettings, settingsError } from "./run/settings.js";
import type { SettingInForce } from "./run/settings-sources.js";
import { readWithOrigins, sourcesOf } from "./run/settings-sources.js";

const configHelp = `
docs/operate/configuration.md lists every setting.

Examples:
  lean-aggregator config check --config settings.json
`;

const checkHelp = `
Takes the flags of 'serve', its variables and the file of --config, as 'serve'
would, and prints each setting with its value and where that comes from. Each
wrong value is named, with what was expected. The policy and the certificates
that the settings name are read too. The places of sockets, --audit, --record,
--keep-fatal and the devices' cache folders must be such that this user can
write there: run it as the user of the service. It starts nothing and leaves no
file behind; 'lean-aggregator doctor' checks the machine, too.

'config check prove' does the same for a lane host, with the flags of 'prove'.

Examples:
  lean-aggregator config check --config settings.json
  lean-aggregator config check prove --config host.json

Exit codes:
  0  the settings are valid
  2  a flag, a variable, the file or a file that it names is wrong
`;

const serveHelp = `
The same as 'lean-aggregator config check'.
`;
const proveHelp = `
Exit codes:
  0  the settings are valid
  2  a flag, a variable, the file or a file that it names is wrong
`;

type ConfigModules = Pick<CommandModules, "env" | "terminal" | "exit">;

export function addConfigCommands(program: Command, modules: ConfigModules): void {
  const { env, terminal } = modules;
  const summary = "the settings: are they valid, and which are in force";
  const config = addCommand(program, "config", { summary, help: configHelp });
  const check = addCommand(config, "check", {
    summary: "check the settings of 'serve' or 'prove', and print them",
    help: checkHelp,
  });
  const serve = check.command("serve", { isDefault: true }).summary("the settings of 'serve'");
  addSettingsOptions(serve.description("check the settings of 'serve'"))
    .addHelpText("after", serveHelp)
    .action(
      ending(modules, async (options: Record<string, unknown>) => {
        const sources = sourcesOf(options, env);
        const { config, inForce } = readWithOrigins(serveSettings, sources);
        checkDevices(config, (error) => settingsError(error, sources));
        await checkFiles(config);
        return print(inForce, folderFacts(env), terminal);
      }),
    );
  const prove = check.command("prove").summary("the settings of 'prove'");
  addProveOptions(prove.description("check the settings of a lane host"))
    .addHelpText("after", proveHelp)
    .action(
      ending(modules, (options: Record<string, unknown>) => {
        const sources = sourcesOf(options, env);
        const { config, inForce } = readWithOrigins(proveSettings, sources);
        checkDevices(config, (error) => proveSettingsError(error, sources));
        checkPlace("--audit", config.audit === undefined ? undefined : checkAudit(config.audit));
        return print(inForce, folderFacts(env), terminal);
      }),
    );
}

/** Throws `CommandError` when a device's user, or a folder for its files, cannot be used. */
function checkDevices(
  config: Pick<Config, "prover" | "devices" | "keepFatal">,
  errorOf: (error: ConfigError) => CommandError,
): void {
  try {
    checkDevicePlaces(config, process.getuid?.());
  } catch (error) {
    throw error instanceof ConfigError ? errorOf(error) : error;
  }
  const { prover, devices, keepFatal } = config;
  if (prover === "fake" || devices.length === 0 || keepFatal === undefined) return;
  checkPlace("--keep-fatal", checkFatalFolder(keepFatal));
}

/** Throws `CommandError` when a file or folder that the settings name is wrong. */
async function checkFiles(config: Config): Promise<void> {
  const { policy, audit, record, recordMb } = config;
  if (policy !== undefined) readPolicy(policy);
  if (config.tlsCertificate !== undefined) {
    const { level, text } = await checkTls(config, Date.now());
    if (level === "fail") throw usageError(`invalid certificates: ${text}`, "fix the files");
  }
  checkPlace("--audit", audit === undefined ? undefined : checkAudit(audit));
  checkPlace("--record", record === undefined ? undefined : checkRecordFolder(record, recordMb));
}

function checkPlace(flag: string, finding: Finding | undefined): void {
  if (finding?.level !== "fail") return;
  throw usageError(
    `cannot write ${flag} ${finding.text}`,
    "or run this as the user of the service",
  );
}

function print(
  inForce: readonly SettingInForce[],
  facts: FolderFacts,
  terminal: Pick<Terminal, "out">,
): number {
  // The defaults of the folders depend on the user and on what systemd gives.
  const folders: Readonly<Record<string, string>> = {
    runtimeDir: runtimeFolderOf(undefined, facts).path,
    stateDir: stateFolderOf(undefined, facts) ?? "none",
  };
  const valueOf = ({ key, from, value }: SettingInForce) =>
    (from === "default" ? folders[key] : undefined) ?? value;
  const table = formatTable<SettingInForce>(
    [
      { title: "setting", cell: ({ key }) => key },
      { title: "from", cell: ({ from }) => from },
      // The last one, as a list of devices is long.
      { title: "value", cell: valueOf },
    ],
    inForce,
  );
  terminal.out(`${table}\nthe settings are valid\n`);
  return exitCodes.ok;
}
