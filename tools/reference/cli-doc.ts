/** The text of docs/reference/cli.md: the help of every command, as the command itself prints it. */
import type { Command } from "commander";
import { createProgram } from "../../cli/program.js";

/** From the root of the checkout. */
export const CLI_DOCUMENT = "docs/reference/cli.md";

const INTRO = `# Command line

<!-- Written by \`make reference\` from the help of the commands: change cli/ instead. -->

What \`lean-aggregator <command> --help\` prints. From a checkout the program is \`node dist/cli/main.js\`. Settings of
\`serve\` and \`prove\` have [a page of their own](../operate/configuration.md), and [errors](errors.md#exit-codes) has the
exit codes of all commands in one table.
`;

/** Columns of the help, wherever this is run. */
const WIDTH = 80;

export interface CommandHelp {
  /** As it is typed, such as `lean-aggregator admin drain`. */
  name: string;
  help: string;
}

export function cliDocument(): string {
  const commands = commandHelps();
  const sections = commands.map(({ name, help }) => {
    const [, ...words] = name.split(" ");
    const title = words.length === 0 ? name : words.join(" ");
    return `## ${title}\n\n\`\`\`text\n${help.trim()}\n\`\`\`\n`;
  });
  return [INTRO, ...sections].join("\n");
}

/** Help of the program and of each command, in the order in which the program lists them. */
export function commandHelps(): CommandHelp[] {
  let printed = "";
  const out = (text: string) => void (printed += text);
  const program = createProgram({
    env: {},
    terminal: {
      out,
      outUntil: (text) => Promise.resolve(out(text)),
      err: () => undefined,
      isErrTty: false,
      readStdin: () => Promise.resolve(new Uint8Array()),
    },
    version: "",
    nodeRange: "",
    interrupted: () => new AbortController().signal,
    signals: { listen: () => undefined },
    exit: () => undefined,
  });
  return everyCommand(program).map(([name, command]) => {
    printed = "";
    command.configureOutput({ getOutHelpWidth: () => WIDTH }).outputHelp();
    return { name, help: printed };
  });
}

function everyCommand(command: Command, parents = ""): [string, Command][] {
  const name = `${parents}${command.name()}`;
  const below = command.commands.flatMap((each) => everyCommand(each, `${name} `));
  return [[name, command], ...below];
}
