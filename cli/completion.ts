/**
 * Shell completion, written once from the command tree: subcommands, their flags, the choices of
 * values, and files wherever nothing else is known. Static: completing runs no program.
 */
import type { Command } from "commander";
import { assertNever } from "../server/errors.js";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

interface Flag {
  /** With its dashes. */
  name: string;
  description: string;
  takesValue: boolean;
  choices: readonly string[];
}

interface Subcommand {
  name: string;
  description: string;
  flags: readonly Flag[];
  /** What its argument, or the command below it, may be; undefined when it takes none, empty when it takes a file. */
  choices: readonly string[] | undefined;
}

export function completionScript(program: Command, shell: Shell): string {
  const subcommands = program.commands.map(subcommandOf);
  switch (shell) {
    case "bash":
      return bashScript(program.name(), subcommands);
    case "zsh":
      return zshScript(program.name(), subcommands);
    case "fish":
      return fishScript(program.name(), subcommands);
    default:
      return assertNever(shell);
  }
}

function subcommandOf(command: Command): Subcommand {
  const flags = command.createHelp().visibleOptions(command);
  const [argument] = command.registeredArguments;
  const below = command.commands.map((each) => each.name());
  return {
    name: command.name(),
    description: command.summary(),
    choices: below.length > 0 ? below : argument && (argument.argChoices ?? []),
    flags: flags.map((option) => ({
      name: option.long ?? option.flags,
      // Defaults and variables are for the help: a menu of flags has no room for them.
      description: option.description.replace(/ \(default: .*\)$/, ""),
      takesValue: option.required,
      choices: option.argChoices ?? [],
    })),
  };
}

/** No words means no answer of ours, and `-o default` then offers files. */
function bashScript(program: string, subcommands: readonly Subcommand[]): string {
  const functionName = `_${program.replaceAll("-", "_")}`;
  const arm = (patterns: readonly string[], words: readonly string[]) =>
    patterns.length === 0 ? [] : [`    ${patterns.join(" | ")}) words="${words.join(" ")}" ;;`];
  const values = subcommands.flatMap(({ name, flags }) => {
    const pattern = (flag: Flag) => `"${name} ${flag.name}"`;
    const valued = flags.filter(({ takesValue }) => takesValue);
    const free = valued.filter(({ choices }) => choices.length === 0);
    const chosen = valued.filter(({ choices }) => choices.length > 0);
    return [
      ...arm(free.map(pattern), []),
      ...chosen.flatMap((flag) => arm([pattern(flag)], flag.choices)),
    ];
  });
  const words = subcommands.flatMap(({ name, flags, choices }) => {
    const names = flags.map((flag) => flag.name);
    return [...arm([`"${name} -"*`], names), ...arm([`"${name} "*`], choices ?? names)];
  });
  const first = [...subcommands.map(({ name }) => name), "--help", "--version"];
  return `# Source this from ~/.bashrc, or save it in ~/.local/share/bash-completion/completions/
${functionName}_words() {
  if ((COMP_CWORD == 1)); then
    words="${first.join(" ")}"
    return
  fi
  case "\${COMP_WORDS[1]} \${COMP_WORDS[COMP_CWORD - 1]}" in
${values.join("\n")}
    *) case "\${COMP_WORDS[1]} $current" in
${words.join("\n")}
    esac ;;
  esac
}
${functionName}() {
  local words="" current="\${COMP_WORDS[COMP_CWORD]}"
  ${functionName}_words
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F ${functionName} ${program}
`;
}

function zshScript(program: string, subcommands: readonly Subcommand[]): string {
  const functionName = `_${program.replaceAll("-", "_")}`;
  const quote = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`;
  const escape = (text: string) => text.replaceAll(/[[\]:\\]/g, String.raw`\$&`);
  const valueOf = (choices: readonly string[]) =>
    choices.length === 0 ? ":value:_files" : `:value:(${choices.join(" ")})`;
  const names = subcommands.map(
    ({ name, description }) => `    ${quote(`${escape(name)}:${escape(description)}`)}`,
  );
  const cases = subcommands.map(({ name, flags, choices }) => {
    const specs = flags.map(({ name: flag, description, takesValue, choices: values }) =>
      quote(`${flag}[${escape(description)}]${takesValue ? valueOf(values) : ""}`),
    );
    if (choices !== undefined) specs.push(quote(`1${valueOf(choices)}`));
    return `    ${name}) _arguments ${specs.join(" ")} ;;`;
  });
  return `#compdef ${program}
# Save this as ${functionName} in a folder of $fpath, or source it after compinit.
${functionName}() {
  local -a subcommands=(
${names.join("\n")}
  )
  if ((CURRENT == 2)); then
    _describe command subcommands
    return
  fi
  shift words
  ((CURRENT--))
  case $words[1] in
${cases.join("\n")}
  esac
}
if [[ $funcstack[1] == ${functionName} ]]; then
  ${functionName} "$@"
else
  compdef ${functionName} ${program}
fi
`;
}

function fishScript(program: string, subcommands: readonly Subcommand[]): string {
  const quote = (text: string) => `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
  const line = (...parts: readonly string[]) => `${["complete -c", program, ...parts].join(" ")}\n`;
  const valueOf = (choices: readonly string[]) =>
    choices.length === 0 ? "-r -F" : `-x -a ${quote(choices.join(" "))}`;
  const lines = subcommands.flatMap(({ name, description, flags, choices }) => {
    const seen = `-n ${quote(`__fish_seen_subcommand_from ${name}`)}`;
    return [
      line("-n __fish_use_subcommand -f -a", name, "-d", quote(description)),
      ...flags.map((flag) =>
        line(
          ...[seen, "-l", flag.name.replace(/^--/, "")],
          ...[flag.takesValue ? valueOf(flag.choices) : "", "-d", quote(flag.description)],
        ),
      ),
      ...(choices !== undefined && choices.length > 0 ? [line(seen, valueOf(choices))] : []),
    ];
  });
  return `# Save this as ~/.config/fish/completions/${program}.fish\n${lines.join("")}`;
}
