/** Starts and ends the Python process that signs, or the one that verifies: see `crypto.py`. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { createInterface } from "node:readline";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

export type CryptoRole = "signer" | "verifier";

export interface CryptoProcess {
  socketPath: string;
  /** Public keys by validator; the signer's only. */
  keys: Uint8Array[];
  /** Public keys for blocks, by validator; the signer's only. */
  proposalKeys: Uint8Array[];
  isAlive(): boolean;
  /** The listener is called when the process ends, or has ended, before `close`. */
  onLost(listener: (error: Error) => void): void;
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
  role: CryptoRole,
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
  return heldProcess(child, { role, socketPath, onProgress });
}

interface HeldOptions {
  role: CryptoRole;
  socketPath: string;
  onProgress(text: string): void;
}

/** Resolves once the process is ready. Rejects when it ends before. */
export async function heldProcess(
  child: ChildProcessByStdio<Writable, Readable, null>,
  { role, socketPath, onProgress }: HeldOptions,
): Promise<CryptoProcess> {
  let isClosing = false;
  const ended = new Promise<Error>((resolve) => {
    child.once("exit", (code) => resolve(new Error(`the ${role} ended with code ${String(code)}`)));
    child.once("error", resolve);
  });
  const line = await new Promise<Line>((resolve, reject) => {
    void ended.then(reject);
    createInterface({ input: child.stdout }).on("line", (text) => {
      const line = JSON.parse(text) as Line;
      if (line.progress !== undefined) onProgress(line.progress);
      if (line.ready === true) resolve(line);
    });
  });
  return {
    socketPath,
    keys: decoded(line.keys),
    proposalKeys: decoded(line.proposalKeys),
    isAlive: () => child.exitCode === null && child.signalCode === null,
    onLost: (listener) => void ended.then((error) => (isClosing ? undefined : listener(error))),
    close: async () => {
      isClosing = true;
      child.stdin.end();
      await ended;
    },
  };
}
