/**
 * The real prover in its own process, over the signature vectors. Needs `make setup` and the
 * compiled `dist/server/prover/child-main.js` (`npx tsc -p .`).
 */
import { closeSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadAddon } from "../../native/addon.js";
import { lockDevice } from "../../server/prover/device/device-lock.js";
import { readBackendFile } from "../../server/prover/device/backend-file.js";
import {
  proverEnvironment,
  startForkedProver,
  type ForkedProverOptions,
} from "../../server/prover/forked-prover.js";
import { foldedProof, foldOfAll } from "../../server/prover/prover.js";
import type { FoldInputs, Prover } from "../../server/prover/prover.js";
import { temporaryFolder } from "../helpers/temporary-folder.js";

interface Vectors {
  signatureBytes: number;
  validators: { publicKey: string }[];
  groups: {
    root: string;
    data: { slot: number };
    validators: number[];
    signaturesOffset: number;
  }[];
  wrongLeaf: { validator: number; signaturesOffset: number };
}

const START_MS_MAX = 60_000;
const PROVE_MS_MAX = 120_000;
const root = process.cwd();
const vectorsPath = join(root, "test/vectors/xmss");
const vectors = JSON.parse(readFileSync(join(vectorsPath, "vectors.json"), "utf8")) as Vectors;
const packedSignatures = readFileSync(join(vectorsPath, "signatures.bin"));
const scratch = temporaryFolder();
const lockPath = join(scratch, "device.lock");
const addon = loadAddon();
const lockFd = addon.lockFile(lockPath);

function key(validator: number): Buffer {
  return Buffer.from(vectors.validators[validator]?.publicKey ?? "", "hex");
}

function signatureAt(offset: number): Buffer {
  return packedSignatures.subarray(offset, offset + vectors.signatureBytes);
}

const [group] = vectors.groups;
if (group === undefined) throw new Error("the vectors hold no group");
const message = { root: Buffer.from(group.root, "hex"), slot: group.data.slot };

/** The first signers of the first group. */
function signers(count: number) {
  return {
    keys: Buffer.concat(group?.validators.slice(0, count).map(key) ?? []),
    signatures: Buffer.concat(
      Array.from({ length: count }, (_, i) =>
        signatureAt((group?.signaturesOffset ?? 0) + i * vectors.signatureBytes),
      ),
    ),
  };
}

function options(changes: Partial<ForkedProverOptions> = {}): ForkedProverOptions {
  return {
    deviceId: "cpu0",
    childPath: join(root, "dist/server/prover/child-main.js"),
    backend: readBackendFile(root),
    lockFd,
    nice: 5,
    cores: [0],
    env: proverEnvironment(process.env, {}),
    startTimeoutMs: START_MS_MAX,
    ...changes,
  };
}

describe("a prover process", () => {
  let prover: Prover;
  const fold = (inputs: FoldInputs) => prover.prove(foldOfAll(prover.description, inputs));

  beforeAll(async () => {
    prover = await startForkedProver(options());
  }, START_MS_MAX);

  afterAll(async () => {
    prover.kill();
    await prover.exited;
  });

  it("describes the backend of the vectors", () => {
    expect(prover.description).toMatchObject({
      fake: false,
      publicKeyBytes: key(0).length,
      signatureBytes: vectors.signatureBytes,
    });
  });

  it("runs every thread at the niceness and on the cores it was given", () => {
    const tasks = `/proc/${String(prover.pid)}/task`;
    for (const thread of readdirSync(tasks)) {
      const stat = readFileSync(`${tasks}/${thread}/stat`, "utf8");
      // Fields after the name, which may hold spaces: niceness is field 19, the state field 3.
      expect(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]).toBe("5");
      expect(readFileSync(`${tasks}/${thread}/status`, "utf8")).toMatch(/Cpus_allowed_list:\t0\n/);
    }
  });

  it("gives each signature its verdict", async () => {
    const { keys, signatures } = signers(2);
    const tampered = Buffer.from(signatures);
    tampered.writeUInt8(tampered.readUInt8(tampered.length - 1) ^ 1, tampered.length - 1);
    const { validator, signaturesOffset } = vectors.wrongLeaf;
    const verdicts = await prover.verifySignatures({
      ...message,
      keys: Buffer.concat([keys, key(validator)]),
      signatures: Buffer.concat([tampered, signatureAt(signaturesOffset)]),
    });
    expect(verdicts).toEqual(["ok", "bad_signature", "wrong_leaf"]);
  });

  it(
    "proves one raw signature, verifies meanwhile, and verifies its proof for that key only",
    async () => {
      const { keys, signatures } = signers(1);
      const proving = fold({ message, keys, signatures, children: [], logInvRate: 0 });
      expect(await prover.verifySignatures({ ...message, keys, signatures })).toEqual(["ok"]);
      const proof = await proving;
      expect(await prover.verify(foldedProof(message, { proof, keys }))).toBe(true);
      expect(await prover.verify(foldedProof(message, { proof, keys: key(1) }))).toBe(false);
      expect(prover.residentBytes()).toBeGreaterThan(0);
    },
    PROVE_MS_MAX,
  );

  it("refuses to prove a signature that does not verify, and lives on", async () => {
    const { signatures } = signers(1);
    const job = { message, keys: key(1), signatures, children: [], logInvRate: 0 };
    await expect(fold(job)).rejects.toMatchObject({ kind: "refused" });
    expect(await prover.verifySignatures({ ...message, keys: key(1), signatures })).toEqual([
      "bad_signature",
    ]);
  });

  it(
    "signals of a process group do not end a proof",
    async () => {
      const { keys, signatures } = signers(16);
      const proving = fold({ message, keys, signatures, children: [], logInvRate: 0 });
      for (const signal of ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"]) {
        process.kill(prover.pid ?? 0, signal);
      }
      expect((await proving).length).toBeGreaterThan(0);
    },
    PROVE_MS_MAX,
  );

  it("holds its device's lock on when the service has let go of it", async () => {
    closeSync(lockFd);
    const again = lockDevice(
      { path: lockPath, pid: process.pid, waitMs: 0 },
      {
        lockFile: (path) => addon.lockFile(path),
        nowMs: () => performance.now(),
        sleep: () => Promise.resolve(),
        onWait: () => undefined,
      },
    );
    await expect(again).rejects.toThrow(/is held by process/);
    prover.kill();
    await prover.exited;
    const fd = addon.lockFile(lockPath);
    expect(fd).toBeGreaterThan(0);
    prover = await startForkedProver(options({ lockFd: fd }));
  });

  it(
    "rejects its proof and exits when killed, and the device is free again",
    async () => {
      const { keys, signatures } = signers(32);
      const proving = fold({ message, keys, signatures, children: [], logInvRate: 0 });
      const rejected = expect(proving).rejects.toMatchObject({ kind: "died" });
      // Answered while the proof runs: the process is in the middle of it.
      await prover.verifySignatures({
        ...message,
        keys: keys.subarray(0, key(0).length),
        signatures: signers(1).signatures,
      });
      prover.kill();
      await rejected;
      expect(await prover.exited).toMatchObject({ cause: "killed_by_us" });
      expect(() => process.kill(prover.pid ?? 0, 0)).toThrow("ESRCH");
    },
    START_MS_MAX,
  );
});
