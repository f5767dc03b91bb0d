/** `lean-aggregator token`: a new token, shown once, and what the policy file keeps of it. */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { usageError } from "./io/command.js";
import { exitCodes } from "./io/exit-codes.js";
import { reasonOf } from "./io/read-input.js";
import type { Terminal } from "./io/terminal.js";
import { TOKEN_BYTES, tokenHash, tokenOf } from "../server/access/token.js";

export interface TokenOptions {
  /** Gets the token instead of the terminal; must not be there yet. */
  out?: string;
}

export function tokenCommand({ out }: TokenOptions, terminal: Pick<Terminal, "out">): number {
  const token = tokenOf(randomBytes(TOKEN_BYTES));
  if (out !== undefined) writeNew(out, token);
  else terminal.out(`${token}\n`);
  terminal.out(`${JSON.stringify({ sha256: tokenHash(token).toString("hex") })}\n`);
  return exitCodes.ok;
}

/** Never over another token, and for its owner's eyes only from the first byte on. */
function writeNew(path: string, token: string): void {
  try {
    writeFileSync(path, `${token}\n`, { mode: 0o600, flag: "wx" });
  } catch (cause) {
    throw usageError(
      "cannot write the token",
      `${path} (${reasonOf(cause)})`,
      "name a new file",
      cause,
    );
  }
}
