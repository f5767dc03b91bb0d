/**
 * A prover for simulation and tests: SHA-256 stands for signatures, and a proof takes the time that
 * the options say. Its description says `fake`, and none of its proofs passes for a real one. For
 * tests of clients it also accepts keys and signatures of any size, unchecked.
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
import type { FakeFailure } from "./fake-plan.js";

/** `own`: keys of 32 bytes with signatures of `fakeSignature`. `any`: all, of any size. */
export type FakeAccepts = "own" | "any";

export interface FakeProverOptions {
  /** Which keys and signatures are taken. Default: `own`. */
  accepts?: FakeAccepts;
  /** Duration of a proof of this shape, in milliseconds; called once for each proof. */
  proveMs: (shape: Shape) => number;
  /** How the proof that begins fails; called once for each proof. Default: none fails. */
  failure?: () => FakeFailure | undefined;
  /** Resolves after that many milliseconds. */
  sleep: (ms: number) => Promise<void>;
}

const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const DIGEST_BYTES = 32;
const SLOT_BYTES = 4;
const PROOF_PREFIX = Buffer.from("FAKE");

const OWN: ProverDescription = {
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

/** Another revision: its proofs name the SHA-256 of keys, so neither verifies the other's. */
const ANY: ProverDescription = {
  ...OWN,
  revision: "fake-any-1",
  publicKeyBytes: DIGEST_BYTES,
  signatureBytes: DIGEST_BYTES,
  anySize: true,
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
  readonly ready: Promise<ProverDescription>;
  readonly description: ProverDescription;
  readonly pid = undefined;
  readonly exited: Promise<ProverExit>;

  private state: "idle" | "proving" | "ended" = "idle";
  private exit: (exit: ProverExit) => void = () => undefined;
  /** Ends the sleep of the running proof. */
  private interrupt: () => void = () => undefined;

  constructor(private readonly options: FakeProverOptions) {
    this.description = options.accepts === "any" ? ANY : OWN;
    this.ready = Promise.resolve(this.description);
    this.exited = new Promise((resolve) => (this.exit = resolve));
  }

  residentBytes(): number {
    return 0;
  }

  peakBytes(): number {
    return 0;
  }

  /** Infinity, because a prover without a process is never silent. */
  heardAtMs(): number {
    return Infinity;
  }

  kill(): void {
    this.end({ cause: "killed_by_us", detail: "killed by the service" });
  }

  private end(exit: ProverExit): void {
    this.state = "ended";
    this.interrupt();
    this.exit(exit);
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
    keyCountOf(this.description, claim.keys);
    return attests(message, claim);
  }

  async aggregate(job: ProofRequest): Promise<Uint8Array> {
    this.assertAlive();
    if (this.state === "proving") throw new ProverError("internal", "a proof is running already");
    const proof = this.prove(job);
    this.state = "proving";
    const raws = job.keys.length / KEY_BYTES;
    const proveMs = this.options.proveMs({ raws, children: job.children.length });
    const failure = this.options.failure?.();
    try {
      // Not a race with `exited`, which would keep each race in memory until the prover ends.
      const killed = new Promise<void>((resolve) => (this.interrupt = resolve));
      await (failure === "hang" ? killed : Promise.race([this.options.sleep(proveMs), killed]));
    } finally {
      if (this.state === "proving") this.state = "idle";
    }
    this.assertAlive();
    if (failure === "error") throw new ProverError("internal", "a failure that was asked for");
    if (failure === "death") this.end({ cause: "died", detail: "a death that was asked for" });
    this.assertAlive();
    return proof;
  }

  private verdicts(
    message: SignedMessage,
    keys: Uint8Array,
    signatures: Uint8Array,
  ): SignatureVerdict[] {
    const count = signerCountOf(this.description, keys, signatures);
    if (this.description.anySize === true) return Array.from({ length: count }, () => "ok");
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
      keyCountOf(this.description, child.keys);
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
    if (this.state === "ended") throw new ProverError("died", "the fake prover has ended");
  }
}
