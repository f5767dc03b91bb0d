/** A call of several runs: what one that fails does to the others, and the signer and verifier that all have. */
import { spawn } from "node:child_process";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CryptoClient } from "../../../../tools/devnet/crypto/crypto-client.js";
import { heldProcess, type CryptoProcess } from "../../../../tools/devnet/crypto/crypto-process.js";
import { CryptoProcesses } from "../../../../tools/devnet/run/crypto-processes.js";
import { makeRuns } from "../../../../tools/devnet/run/make-runs.js";
import { plannedRuns } from "../../../../tools/devnet/run/plan.js";
import { runName } from "../../../../tools/devnet/run/run-file.js";
import { temporaryFolder } from "../../../helpers/temporary-folder.js";

const runs = plannedRuns({ MODES: "inline,worker,sidecar", SLOTS: "10" });

/** A signer or verifier that nobody asks. */
function idleCrypto(socketPath = "", isAlive = () => true): CryptoProcess {
  const close = () => Promise.resolve();
  return { socketPath, keys: [], proposalKeys: [], isAlive, onLost: () => undefined, close };
}

test("a run that fails is said and named, and the runs after it are made", async () => {
  const made: string[] = [];
  const said: string[] = [];
  const failed = await makeRuns(runs, {
    cryptoOf: () => Promise.resolve({ signer: idleCrypto(), verifier: idleCrypto() }),
    makeRun: (run) => {
      made.push(runName(run));
      if (run.mode === "worker") return Promise.reject(new Error("node 2 ended with code 1"));
      return Promise.resolve();
    },
    say: (text) => said.push(text),
  });
  expect(made).toEqual(["full-inline-5-1", "full-worker-5-1", "full-sidecar-5-1"]);
  expect(failed).toEqual(["full-worker-5-1"]);
  expect(said).toContain("full-worker-5-1 failed: node 2 ended with code 1");
});

test("signer and verifier are started once, and again when they have ended or keys differ", async () => {
  const dead = new Set<string>();
  const started: string[] = [];
  const crypto = new CryptoProcesses("s", (_, path) => {
    started.push(path);
    return Promise.resolve(idleCrypto(path, () => !dead.has(path)));
  });
  const [first, second] = plannedRuns({ MODES: "worker", SEED: "1,2", SLOTS: "10" });
  if (first === undefined || second === undefined) throw new Error("no runs");
  await crypto.of(first);
  await crypto.of(first);
  expect(started).toEqual(["s/verifier-0", "s/signer-1"]);
  dead.add("s/verifier-0");
  expect((await crypto.of(first)).verifier.socketPath).toBe("s/verifier-2");
  expect((await crypto.of(second)).signer.socketPath).toBe("s/signer-3");
  expect(started).toHaveLength(4);
});

/** A process that is ready, and ends with its standard input or by this signal. */
const readyProcess = () => {
  const script = "console.log(JSON.stringify({ ready: true })); process.stdin.resume();";
  const child = spawn(process.execPath, ["-e", script], { stdio: ["pipe", "pipe", "inherit"] });
  const options = { role: "verifier" as const, socketPath: "", onProgress: () => undefined };
  return { child, held: heldProcess(child, options) };
};

test("a signer or verifier that dies is reported, and one that is closed is not", async () => {
  const { child, held } = readyProcess();
  const verifier = await held;
  expect(verifier.isAlive()).toBe(true);
  const lost = new Promise<Error>((resolve) => verifier.onLost(resolve));
  child.kill("SIGKILL");
  expect((await lost).message).toBe("the verifier ended with code null");
  expect(verifier.isAlive()).toBe(false);

  const other = await readyProcess().held;
  const losses: Error[] = [];
  other.onLost((error) => losses.push(error));
  await other.close();
  expect(losses).toEqual([]);
});

test("a signer or verifier that ends before it is ready cannot be had", async () => {
  const child = spawn(process.execPath, ["-e", "process.exit(3)"], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const options = { role: "signer" as const, socketPath: "", onProgress: () => undefined };
  await expect(heldProcess(child, options)).rejects.toThrow("the signer ended with code 3");
});

test("what is asked of a verifier that has gone is an error, also after that", async () => {
  const path = join(temporaryFolder(), "socket");
  const server = createServer();
  const peer = new Promise<Socket>((resolve) => server.once("connection", resolve));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const client = new CryptoClient({ signer: path, verifier: path });
  const ask = () => client.verifyProof([], new Uint8Array());
  const asked = expect(ask()).rejects.toThrow("is closed");
  server.on("connection", (socket) => socket.destroy());
  (await peer).destroy();
  await asked;
  await expect(ask()).rejects.toThrow("is closed");
  client.close();
  server.close();
});
