/**
 * Shell completion. `completion SHELL` prints a short script for the shell. The script asks the
 * hidden command `complete` for the words that fit, and offers files if there are none.
 */
import type { Command, Option } from "commander";
import { Argument } from "commander";
import type { CommandModules } from "./io/command.js";
import { OPERATOR_SERVER } from "./admin/ask.js";
import type { Completion, NameKind, OperatorPlace } from "./completion-names.js";
import { nameKind, namesOf } from "./completion-names.js";
import { addCommand, ending, exitCodes } from "./io/command.js";

const help = `
The script completes commands, flags, their values and files. It runs
'lean-aggregator', which must be in the PATH. Names of devices, nodes and sessions
come from the service, at the address of --server or LEAN_AGGREGATOR_ADMIN; a service
that does not answer in 300 ms gives none.

Examples:
  source <(lean-aggregator completion bash)
  lean-aggregator completion bash \\
    > ~/.local/share/bash-completion/completions/lean-aggregator
  lean-aggregator completion zsh > ~/.zfunc/_lean-aggregator
  lean-aggregator completion fish \\
    > ~/.config/fish/completions/lean-aggregator.fish
`;

const BASH = `# bash completion for lean-aggregator
_lean_aggregator() {
  local line=\${COMP_LINE:0:COMP_POINT} word before='' n=-1 at
  local -a words=()
  # bash parts words at colons and equals signs too: 'host:9192' is one of ours.
  for ((at = 0; at <= COMP_CWORD; at++)); do
    word=\${COMP_WORDS[at]}
    if [[ $at -gt 0 && $line != [[:space:]]* ]]; then
      before=\${words[n]}
      words[n]+=$word
    else
      before=''
      words[++n]=$word
    fi
    line=\${line#"\${line%%[![:space:]]*}"}
    line=\${line#"$word"}
  done
  local IFS=$'\\n'
  COMPREPLY=($(lean-aggregator complete -- "\${words[@]:1}" 2>/dev/null | cut -f1))
  COMPREPLY=("\${COMPREPLY[@]#"$before"}")
}
complete -o default -F _lean_aggregator lean-aggregator
`;

const ZSH = `#compdef lean-aggregator
# zsh completion for lean-aggregator
_lean_aggregator() {
  local line
  local -a words_and_texts
  for line in "\${(@f)$(lean-aggregator complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -n $line ]] && words_and_texts+=("\${\${line//:/\\:}/$'\\t'/:}")
  done
  if ((\${#words_and_texts})); then
    _describe 'lean-aggregator' words_and_texts
  else
    _files
  fi
}
if [[ $funcstack[1] == _lean-aggregator ]]; then
  _lean_aggregator "$@"
else
  compdef _lean_aggregator lean-aggregator
fi
`;

const FISH = `# fish completion for lean-aggregator
function __lean_aggregator_complete
    set -l typed (commandline -opc) (commandline -ct)
    set -l found (lean-aggregator complete -- $typed[2..] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c lean-aggregator -f -a '(__lean_aggregator_complete)'
`;

const scripts: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };

export function addCompletionCommand(program: Command, modules: CommandModules): void {
  const { terminal } = modules;
  const summary = "print a script that completes commands and flags in a shell";
  addCommand(program, "completion", { summary, help })
    .addArgument(new Argument("<shell>", "the shell to complete in").choices(Object.keys(scripts)))
    .action(
      ending(modules, (shell: string) => {
        terminal.out(scripts[shell] ?? "");
        return exitCodes.ok;
      }),
    );
  program
    .command("complete", { hidden: true })
    .argument("[words...]")
    .action(
      ending(modules, async (words: string[]) => {
        const asked = nameAskedFor(program, words);
        const found =
          asked === undefined
            ? completionsOf(program, words)
            : fitting(await namesOf(asked.kind, asked, modules.env), words);
        terminal.out(found.map(({ word, text }) => `${word}\t${text}\n`).join(""));
        return exitCodes.ok;
      }),
    );
}

/**
 * Returns the words that complete a command line; none where a file or a free value is expected.
 * @param words typed after the program's name; the last one, perhaps empty, is being completed
 */
export function completionsOf(program: Command, words: readonly string[]): Completion[] {
  const { command, argumentCount, option } = parse(program, words.slice(0, -1));
  return fitting(candidates(command, argumentCount, option, words.at(-1) ?? ""), words);
}

function fitting(found: readonly Completion[], words: readonly string[]): Completion[] {
  const typed = words.at(-1) ?? "";
  return found.filter(({ word }) => word.startsWith(typed));
}

/**
 * What the service is asked for to complete the last of the words, and where; undefined when no service
 * knows it.
 */
export function nameAskedFor(
  program: Command,
  words: readonly string[],
): ({ kind: NameKind } & OperatorPlace) | undefined {
  const { command, argumentCount, option, values } = parse(program, words.slice(0, -1));
  const argument = command.registeredArguments[argumentCount];
  const isFlag = option === undefined && (words.at(-1) ?? "").startsWith("-");
  const kind = nameKind(option?.long ?? (isFlag ? "" : (argument?.name() ?? "")));
  if (kind === undefined) return undefined;
  // The `--server` of a node's command is another listener, where nobody lists names.
  const isOperators = command.options.some(({ envVar }) => envVar === OPERATOR_SERVER.variable);
  if (!isOperators) return { kind, server: undefined, tokenFile: undefined };
  return { kind, server: values.get("--server"), tokenFile: values.get("--token-file") };
}

function candidates(
  command: Command,
  argumentCount: number,
  option: Option | undefined,
  typed: string,
): Completion[] {
  const help = command.createHelp();
  const choices = ({ argChoices = [] }: { argChoices?: string[] | undefined }) =>
    argChoices.map((word) => ({ word, text: "" }));
  if (option !== undefined) return choices(option);
  if (typed.startsWith("-")) {
    const options = withDefault(command).flatMap((each) => help.visibleOptions(each));
    const words = options.map(({ long, flags, description }) => ({
      word: long ?? flags,
      // Without the default and the environment variable: a shell's menu has no room for them.
      text: description.replace(/ \(default: .*\)$/, ""),
    }));
    return [...new Map(words.map((each) => [each.word, each])).values()];
  }
  const argument = command.registeredArguments[argumentCount];
  if (argument !== undefined) return choices(argument);
  return help
    .visibleCommands(command)
    .map((each) => ({ word: each.name(), text: each.summary() || each.description() }));
}

/**
 * The command and, where it has one, the command below it that runs when no other is named. Commander
 * has no public name for that.
 */
function withDefault(command: Command): Command[] {
  const name: unknown = Reflect.get(command, "_defaultCommandName");
  return [command, ...command.commands.filter((each) => each.name() === name)];
}

/**
 * The command that the words name, its arguments so far, the option that awaits a value, and the values
 * of those before, by long name.
 */
function parse(program: Command, words: readonly string[]) {
  let command = program;
  let argumentCount = 0;
  let option: Option | undefined;
  const values = new Map<string, string>();
  for (const word of words) {
    if (option !== undefined) {
      values.set(option.long ?? "", word);
      option = undefined;
    } else if (/^--[^=]+=/.test(word)) {
      const at = word.indexOf("=");
      values.set(word.slice(0, at), word.slice(at + 1));
    } else if (word.startsWith("-") && word !== "-") {
      const options = withDefault(command).flatMap((each) => each.options);
      const found = options.find(({ long, short }) => word === long || word === short);
      option = found?.required === true ? found : undefined;
    } else {
      const below = command.commands.find((each) => each.name() === word);
      if (below === undefined) argumentCount++;
      else command = below;
    }
  }
  return { command, argumentCount, option, values };
}
