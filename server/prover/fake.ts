/**
 * A prover for simulation and tests: SHA-256 stands for signatures, and a proof takes the time that
 * the options say. Its description says `fake`, and none of its proofs passes for a real one.
 */
import { createHash } from "node:crypto";
import type { Shape } from "../work/shape.js";
import { keyCountOf, ProverError, signerCountOf } from "./prover.js";
import type {
  AggregateClaim,
  Prover,
  ProofRequest,
  ProverExit,
  SignatureVerdict,
  SignedMessage,
} from "./prover.js";
import type { ProverDescription } from "../work/prover-description.js";

export interface FakeProverOptions {
  /** Duration of a proof of this shape, in milliseconds. */
  proveMs: (shape: Shape) => number;
  /** Resolves after that many milliseconds. */
  sleep: (ms: number) => Promise<void>;
}

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const SLOT_BYTES = 4;
const PROOF_PREFIX = Buffer.from("FAKE");

const DESCRIPTION: ProverDescription = {
  backend: "fake",
  scheme: "fake",
  revision: "fake-1",
  publicKeyBytes: KEY_BYTES,
  signatureBytes: SIGNATURE_BYTES,
  proofBytesMax: 0,
  childrenMax: 0,
  rates: 0x1ff, // 0 to 8; none of them changes what the fake prover makes
  fake: true,
};

function sha256(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** The key's signature, as the fake prover expects it: slot (u32 LE), sha256(key, root), zeros. */
export function fakeSignature(key: Uint8Array, root: Uint8Array, slot: number): Uint8Array {
  const signature = Buffer.alloc(SIGNATURE_BYTES);
  signature.writeUInt32LE(slot, 0);
  sha256(key, root).copy(signature, SLOT_BYTES);
  return new Uint8Array(signature);
}

function split(packed: Uint8Array, itemBytes: number): Buffer[] {
  return Array.from({ length: packed.length / itemBytes }, (_, i) =>
    Buffer.from(packed.subarray(i * itemBytes, (i + 1) * itemBytes)),
  );
}

function verdictOn(message: SignedMessage, key: Buffer, signature: Buffer): SignatureVerdict {
  if (signature.readUInt32LE(0) !== message.slot) return "wrong_leaf";
  const signed = signature.subarray(SLOT_BYTES, SLOT_BYTES + 32);
  return signed.equals(sha256(key, message.root)) ? "ok" : "bad_signature";
}

function proofOf(message: SignedMessage, keys: readonly Buffer[]): Buffer {
  const sorted = [...keys].sort((a, b) => Buffer.compare(a, b));
  const unique = sorted.filter((key, i) => i === 0 || sorted[i - 1]?.equals(key) !== true);
  return Buffer.concat([PROOF_PREFIX, sha256(message.root), ...unique]);
}

function attests(message: SignedMessage, { proof, keys }: AggregateClaim): boolean {
  return proofOf(message, split(keys, KEY_BYTES)).equals(proof);
}

/** Starts a fake prover, which is ready at once. */
export function startFakeProver(options: FakeProverOptions): Prover {
  return new FakeProver(options);
}

class FakeProver implements Prover {
  readonly ready = Promise.resolve(DESCRIPTION);
  readonly description = DESCRIPTION;
  readonly pid = undefined;
  readonly exited: Promise<ProverExit>;

  private state: "idle" | "proving" | "ended" = "idle";
  private exit: (exit: ProverExit) => void = () => undefined;
  /** Ends the sleep of the running proof. */
  private interrupt: () => void = () => undefined;

  constructor(private readonly options: FakeProverOptions) {
    this.exited = new Promise((resolve) => (this.exit = resolve));
  }

  residentBytes(): number {
    return 0;
  }

  /** Infinity, because a prover without a process is never silent. */
  heardAtMs(): number {
    return Infinity;
  }

  kill(): void {
    this.state = "ended";
    this.interrupt();
    this.exit({ cause: "killed_by_us", detail: "killed by the service" });
  }

  async verifySignatures(
    message: SignedMessage,
    keys: Uint8Array,
    signatures: Uint8Array,
  ): Promise<SignatureVerdict[]> {
    this.assertAlive();
    return this.verdicts(message, keys, signatures);
  }

  async verifyAggregate(message: SignedMessage, claim: AggregateClaim): Promise<boolean> {
    this.assertAlive();
    keyCountOf(DESCRIPTION, claim.keys);
    return attests(message, claim);
  }

  async aggregate(job: ProofRequest): Promise<Uint8Array> {
    this.assertAlive();
    if (this.state === "proving") throw new ProverError("internal", "a proof is running already");
    const proof = this.prove(job);
    this.state = "proving";
    const raws = job.keys.length / KEY_BYTES;
    try {
      const slept = this.options.sleep(
        this.options.proveMs({ raws, children: job.children.length }),
      );
      // Not a race with `exited`, which would keep each race in memory until the prover ends.
      const killed = new Promise<void>((resolve) => (this.interrupt = resolve));
      await Promise.race([slept, killed]);
    } finally {
      if (this.state === "proving") this.state = "idle";
    }
    this.assertAlive();
    return proof;
  }

  private verdicts(
    message: SignedMessage,
    keys: Uint8Array,
    signatures: Uint8Array,
  ): SignatureVerdict[] {
    signerCountOf(DESCRIPTION, keys, signatures);
    const ofKeys = split(signatures, SIGNATURE_BYTES);
    return split(keys, KEY_BYTES).map((key, i) =>
      verdictOn(message, key, ofKeys[i] ?? Buffer.alloc(SIGNATURE_BYTES)),
    );
  }

  private prove({ message, keys, signatures, children }: ProofRequest): Uint8Array {
    if (keys.length === 0 && children.length === 0) {
      throw new ProverError("refused", "nothing to prove");
    }
    const bad = this.verdicts(message, keys, signatures).findIndex((verdict) => verdict !== "ok");
    if (bad !== -1) throw new ProverError("refused", `raw signature ${bad} does not verify`);
    for (const child of children) {
      keyCountOf(DESCRIPTION, child.keys);
      if (!attests(message, child)) throw new ProverError("refused", "a child does not verify");
    }
    const packed = [keys, ...children.map((child) => child.keys)];
    return new Uint8Array(
      proofOf(
        message,
        packed.flatMap((each) => split(each, KEY_BYTES)),
      ),
    );
  }

  private assertAlive(): void {
    if (this.state === "ended") throw new ProverError("died", "the fake prover was killed");
  }
}
