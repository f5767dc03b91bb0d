/**
 * The text of docs/operate/configuration.md: every setting of `serve` and `prove`, with what it takes,
 * as the schema itself says it of a wrong value.
 */
import { Option } from "commander";
import { proveSettings } from "../../cli/run/prove-settings.js";
import { serveSettings } from "../../cli/run/settings.js";
import type { CommandSettings } from "../../cli/run/settings-sources.js";
import { ConfigError } from "../../server/config/config-error.js";
import { variableOf } from "../../server/config/parse.js";
import { safeParse } from "../../server/json/safe-parse.js";
import { deviceSchema } from "../../server/prover/device/device.js";

/** From the root of the checkout. */
export const CONFIG_DOCUMENT = "docs/operate/configuration.md";

const INTRO = `# Configuration

<!-- Written by \`make config-doc\`. Change server/config/, cli/run/settings.ts, cli/run/prove-settings.ts,
cli/run/device-settings.ts or tools/config/config-doc.ts instead. -->

Every setting of \`serve\`, which runs a service, and of \`prove\`, which runs a lane host. Each has three names: a
flag, an environment variable and a key of the JSON file of \`--config\`.

    lean-aggregator serve --deadline-ms 750
    LEAN_AGGREGATOR_DEADLINE_MS=750 lean-aggregator serve
    lean-aggregator serve --config settings.json      # {"deadlineMs": 750}

- **Which one is in force**: a flag wins over its variable, a variable over the file, the file over the default.
  An empty variable is not set.
- **Check first**: \`lean-aggregator config check --config settings.json\` prints each setting with its value and
  where that comes from, names each wrong one, and exits with 2 if there is any; \`config check prove\` does it for
  a lane host. \`lean-aggregator doctor\` checks the machine, too.
- **Misspelt**: an unknown key of the file, or an unknown variable that begins with \`LEAN_AGGREGATOR_\`, is an error.
- **While it runs**, SIGHUP takes a new \`logLevel\` from the file. It also reads again what \`policy\` and the
  settings of certificates name. Every other setting needs a restart, and the log says so.
- **Lists** are separated by commas in a flag or a variable; in the file they may be lists of JSON.
`;

const DEVICE_INTRO = `## Fields of a device

A device in \`devices\` is a name, or an object with \`id\` and any of the other fields. Fields of a
\`backend\`: [your own prover](../adopt/own-prover.md).
`;

const FOLDERS = `## Folders

The default of \`runtimeDir\` is the first of these that there is: systemd's \`RUNTIME_DIRECTORY\`; for root
\`/run/lean-aggregator\`; \`$XDG_RUNTIME_DIR/lean-aggregator\`, if that is this user's; a folder of the user's own
in the folder of temporary files. That of \`stateDir\`: systemd's \`STATE_DIRECTORY\`; for root
\`/var/lib/lean-aggregator\`; \`$XDG_STATE_HOME/lean-aggregator\`; \`~/.local/state/lean-aggregator\`. Each is made if
it is missing. [What is in them, and what an upgrade needs](upgrade.md).
`;

const SETTINGS_HEAD = `| key | flag | variable | of | takes | default | meaning |
| --- | --- | --- | --- | --- | --- | --- |`;
const DEVICE_HEAD = `| field | takes | meaning |
| --- | --- | --- |`;

/** Meaning of each field of a device. */
const DEVICE_FIELDS: Readonly<Record<keyof typeof deviceSchema.shape, string>> = {
  id: "Its name in logs, metrics and its lock file",
  cores: "Cores to prove on. Default: all that the process may use",
  nice: "Niceness of its provers. Default: 10",
  threads: "Threads of a prover; 0, the default: one for each core. A CPU quota may lower it",
  env: "Environment variables of its provers, such as the choice of a GPU",
  user: "User and group of its provers; only a service of root may set it. Default: its own",
  fileMb: "Largest file in MB that its provers may write; 0, the default: none",
  cacheFolder: "Where its library may keep such files. Default: it is given none",
  prover: "A prover of this project: lean_pq, the default, or lean_multisig",
  backend: "Another library: `library`, `config` and, if it has one, `calibration`",
  fake:
    "With `prover` fake: `scheme`, `revision`, `publicKeyBytes` and `signatureBytes` that its provers " +
    "stand for, and its own `time`, `failures` and `limits`, as `fakeTime` and so on. It needs no `cores`",
};

export function configDocument(): string {
  const both = [serveSettings, proveSettings] as const;
  const keys = [...new Set(both.flatMap(({ help }) => help.map(([flags]) => keyOf(flags))))];
  const rows = keys.map((key) =>
    settingRow(
      key,
      both.filter((of) => of.keys.includes(key)),
    ),
  );
  const fields = Object.entries(DEVICE_FIELDS).map(([name, meaning]) =>
    row([`\`${name}\``, expectedOfDevice(name), meaning]),
  );
  return `${INTRO}
## Settings

${SETTINGS_HEAD}
${rows.join("\n")}

${FOLDERS}
${DEVICE_INTRO}
${DEVICE_HEAD}
${fields.join("\n")}
`;
}

function settingRow(key: string, commands: readonly CommandSettings<unknown>[]): string {
  const [of] = commands;
  const entry = of?.help.find(([flags]) => keyOf(flags) === key);
  if (of === undefined || entry === undefined) throw new Error(`no command has the setting ${key}`);
  const [flags, description] = entry;
  const given = of.shownDefaults()[key];
  const value = String(given ?? "") || "none";
  return row([
    `\`${key}\``,
    `\`${flags}\``,
    `\`${variableOf(key)}\``,
    commands.map(({ command }) => command).join(", "),
    expectedBy(of, key),
    value === "see below" ? "see [folders](#folders)" : value,
    description.replace(", see below", ""),
  ]);
}

const keyOf = (flags: string) => new Option(flags).attributeName();
const row = (cells: readonly string[]) =>
  `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;

/** A value that no setting takes, so that the schema says what it expects. */
const WRONG = { "no setting takes this": true };

/** What the setting takes, in the words of its error. Throws when the schema takes `WRONG`. */
function expectedBy(of: CommandSettings<unknown>, key: string): string {
  try {
    of.parse([{ [key]: WRONG }]);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const text = error.problems.find((problem) => problem.key === key)?.text;
    if (text !== undefined) return afterExpected(text);
  }
  throw new Error(`the setting ${key} takes anything`);
}

function expectedOfDevice(field: string): string {
  const parsed = safeParse(deviceSchema, { id: "cpu", [field]: isObject(field) ? 0 : WRONG });
  const issue = parsed.error?.issues.find(({ path }) => path[0] === field);
  if (issue === undefined) throw new Error(`the field ${field} of a device takes anything`);
  return afterExpected(issue.message);
}

const isObject = (field: string) => ["env", "backend", "fake"].includes(field);
const afterExpected = (text: string) => text.replace(/^.*?expected /, "");
