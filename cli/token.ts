/** `lean-aggregator token`: makes a token, shown once, and its entry for the policy file. */
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import type { Command } from "commander";
import { TOKEN_BYTES, tokenHash, tokenOf } from "../server/access/token.js";
import { fileReason } from "../server/files/file-reason.js";
import { createFile } from "../server/files/write-file.js";
import type { CommandModules, Terminal } from "./io/command.js";
import { addCommand, CommandError, ending, exitCodes, usageError } from "./io/command.js";
import { ReaderGone } from "./io/standard-output.js";

const help = `
Prints a new random token, and an entry for "tokens" in the policy file. The
policy keeps only the token's SHA-256, so the token cannot be shown again.
'serve' accepts tokens over TLS, on loopback and on Unix sockets.

Examples:
  lean-aggregator token
  lean-aggregator token --out node-1.token
  lean-aggregator submit snapshot.json --token-file node-1.token
  grpcurl -plaintext -H "authorization: Bearer $(cat node-1.token)" \\
    127.0.0.1:9190 lean.aggregator.v1.AggregatorService/GetServerInfo

Exit codes:
  0  done
  1  the entry could not be written, or nobody read it: there is no file of --out
  2  a flag is wrong, or the file of --out exists or cannot be written
`;

export interface TokenOptions {
  /** File that gets the token instead of the terminal. It must not exist yet. */
  out?: string;
}

export function addTokenCommand(
  program: Command,
  modules: Pick<CommandModules, "terminal" | "exit">,
): void {
  const summary = "make a token, and its entry for the policy file";
  addCommand(program, "token", { summary, help })
    .option("--out <file>", "write the token to this new file instead of printing it")
    .action(ending(modules, (options: TokenOptions) => tokenCommand(options, modules.terminal)));
}

export async function tokenCommand(
  { out }: TokenOptions,
  terminal: Pick<Terminal, "out" | "outUntil">,
): Promise<number> {
  const token = tokenOf(randomBytes(TOKEN_BYTES));
  const entry = `${JSON.stringify({ sha256: tokenHash(token).toString("hex") })}\n`;
  if (out === undefined) {
    terminal.out(`${token}\n${entry}`);
    return exitCodes.ok;
  }
  await writeNew(out, token);
  try {
    // Unlike `out`, it rejects where the reader has gone.
    await terminal.outUntil(entry, new AbortController().signal);
  } catch (error) {
    await rm(out); // nobody saw the entry that makes this token valid
    if (!(error instanceof ReaderGone)) throw error;
    const problem = `nobody read the entry for the policy file, so --out ${out} is removed`;
    throw new CommandError(problem, "keep the output, and run it again", { cause: error });
  }
  return exitCodes.ok;
}

/** Makes the file with mode 0600. Rejects with a usage error if it exists or cannot be written. */
async function writeNew(path: string, token: string): Promise<void> {
  try {
    await createFile(path, `${token}\n`, { mode: 0o600 });
  } catch (cause) {
    const problem = `cannot write the token to --out ${path}: ${fileReason(cause, path)}`;
    throw usageError(problem, "name a new file", cause);
  }
}
