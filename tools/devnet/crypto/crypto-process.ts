/** Starts and ends the Python process that signs, or the one that verifies: see `crypto.py`. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { join } from "node:path";

export interface CryptoProcess {
  socketPath: string;
  /** Public keys by validator; the signer's only. */
  keys: Uint8Array[];
  /** Public keys for blocks, by validator; the signer's only. */
  proposalKeys: Uint8Array[];
  close(): Promise<void>;
}

interface Line {
  progress?: string;
  ready?: boolean;
  keys?: string[];
  proposalKeys?: string[];
}

const decoded = (keys: readonly string[] = []) =>
  keys.map((key) => new Uint8Array(Buffer.from(key, "base64")));

/** `args` follow the role and the socket. Rejects when it ends before it is ready. */
export async function startCryptoProcess(
  role: "signer" | "verifier",
  socketPath: string,
  args: readonly string[],
  onProgress: (text: string) => void,
): Promise<CryptoProcess> {
  // Tests and the devnet run from the package's root.
  const python = join(process.cwd(), ".prover-venv/bin/python");
  const script = join(process.cwd(), "tools/devnet/crypto/crypto.py");
  const child = spawn(python, [script, role, socketPath, ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const line = await new Promise<Line>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the ${role} ended with code ${String(code)}`)));
    child.once("error", reject);
    createInterface({ input: child.stdout }).on("line", (text) => {
      const line = JSON.parse(text) as Line;
      if (line.progress !== undefined) onProgress(line.progress);
      if (line.ready === true) resolve(line);
    });
  });
  const close = () => {
    child.stdin.end();
    return ended;
  };
  const { keys, proposalKeys } = line;
  return { socketPath, keys: decoded(keys), proposalKeys: decoded(proposalKeys), close };
}
