/**
 * A prover for simulation and tests: SHA-256 stands for signatures, and a proof takes the time that
 * the options say. Its description says `fake`, and none of its proofs passes for a real one. For
 * tests of clients it also accepts keys and signatures of any size, unchecked.
 */
import { createHash } from "node:crypto";
import { fitsOneJob, foldLimitsOf } from "../../work/fold-limits.js";
import type { Shape } from "../../work/shape.js";
import { limits } from "../../limits.js";
import { keyCountOf, ProverError, signerCountOf } from "../prover.js";
import type {
  ClaimedProof,
  KeyClaim,
  Prover,
  ProofJob,
  ProverExit,
  SignatureVerdict,
  SignedMessage,
  SignedRaws,
} from "../prover.js";
import type { ProverDescription } from "../../work/prover-description.js";
import { proofSystemOf } from "../../work/prover-description.js";
import type { FakeLimits } from "./fake-limits.js";
import type { FakeFailure } from "./fake-plan.js";

/** `own`: keys of one size with signatures of `fakeSignature`. `any`: all, of any size. */
export type FakeAccepts = "own" | "any";

/** The proof system that a fake prover stands for; what is left out is that of `accepts`. */
export type FakeSystem = Partial<
  Pick<ProverDescription, "scheme" | "revision" | "publicKeyBytes" | "signatureBytes">
>;

export interface FakeProverOptions {
  /** Which keys and signatures are taken. Default: `own`. */
  accepts?: FakeAccepts;
  /** Name and sizes of the proof system. Default: "fake" with a revision for each `accepts`. */
  system?: FakeSystem | undefined;
  /** What a fold may have; a job over it is refused. Default: anything. */
  foldLimits?: FakeLimits | undefined;
  /** Duration of a proof of this shape, in milliseconds; called once for each proof. */
  proveMs: (shape: Shape) => number;
  /** How the proof that begins fails; called once for each proof. Default: none fails. */
  failure?: () => FakeFailure | undefined;
  /** Resolves after that many milliseconds. */
  sleep: (ms: number) => Promise<void>;
}

const DIGEST_BYTES = 32;
const SLOT_BYTES = 4;
/** Size of the smallest signature: slot and SHA-256. */
export const FAKE_SIGNATURE_BYTES_MIN = SLOT_BYTES + DIGEST_BYTES;
const PREFIXES = { fold: Buffer.from("FAKE"), merge: Buffer.from("FAKM") } as const;

const OWN: ProverDescription = {
  backend: "fake",
  scheme: "fake",
  revision: "fake-1",
  publicKeyBytes: 32,
  signatureBytes: 64,
  proofBytesMax: 0,
  childrenMax: 0,
  messagesMax: limits.mergeMessagesMax,
  rates: 0x1ff, // 0 to 8; none of them changes what the fake prover makes
  fake: true,
};

/** Its proofs name the SHA-256 of keys. */
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

/**
 * The key's signature of a root, as the fake provers of a scheme expect it: slot (u32 LE), the SHA-256
 * of key, root and scheme (of "fake", none), and zeros up to the scheme's size.
 *
 * @param of scheme and size. Default: those of fake provers without a `system`
 */
export function fakeSignature(
  key: Uint8Array,
  root: Uint8Array,
  slot: number,
  of: Pick<ProverDescription, "scheme" | "signatureBytes"> = OWN,
): Uint8Array {
  const signature = Buffer.alloc(of.signatureBytes);
  signature.writeUInt32LE(slot, 0);
  signedBy(key, root, of).copy(signature, SLOT_BYTES);
  return new Uint8Array(signature);
}

/** The name in what fake provers make. The default has none, as in builds before fakes had names. */
const nameBytes = (name: string, unnamed: string) => Buffer.from(name === unnamed ? "" : name);

function signedBy(
  key: Uint8Array,
  root: Uint8Array,
  { scheme }: Pick<ProverDescription, "scheme">,
): Buffer {
  return sha256(key, root, nameBytes(scheme, OWN.scheme));
}

function split(packed: Uint8Array, itemBytes: number): Buffer[] {
  return Array.from({ length: packed.length / itemBytes }, (_, i) =>
    Buffer.from(packed.subarray(i * itemBytes, (i + 1) * itemBytes)),
  );
}

function verdictOn(
  of: ProverDescription,
  message: SignedMessage,
  key: Buffer,
  signature: Buffer,
): SignatureVerdict {
  if (signature.readUInt32LE(0) !== message.slot) return "wrong_leaf";
  const signed = signature.subarray(SLOT_BYTES, FAKE_SIGNATURE_BYTES_MIN);
  return signed.equals(signedBy(key, message.root, of)) ? "ok" : "bad_signature";
}

/**
 * Attests exactly these claims, in this order; the order of a claim's keys does not matter. Contains
 * the proof system's name (of the default, none), so that no prover of another one verifies it.
 */
function proofOf(
  of: ProverDescription,
  kind: ProofJob["kind"],
  claims: readonly KeyClaim[],
): Buffer {
  const name = nameBytes(proofSystemOf(of), proofSystemOf(OWN));
  const bytesOf = ({ root, keys }: KeyClaim) => [sha256(root, name), ...uniqueKeys(of, [keys])];
  return Buffer.concat([PREFIXES[kind], ...claims.flatMap(bytesOf)]);
}

function uniqueKeys(
  { publicKeyBytes }: ProverDescription,
  packed: readonly Uint8Array[],
): Buffer[] {
  const sorted = packed.flatMap((keys) => split(keys, publicKeyBytes)).sort(Buffer.compare);
  return sorted.filter((key, i) => i === 0 || sorted[i - 1]?.equals(key) !== true);
}

/** The messages of the claims with the keys of each, in one text that is equal for equal claims. */
function textOf(of: ProverDescription, claims: readonly KeyClaim[]): string {
  const byMessage = new Map<string, Uint8Array[]>();
  for (const { root, slot, keys } of claims) {
    const message = `${slot} ${Buffer.from(root).toString("hex")}`;
    byMessage.set(message, [...(byMessage.get(message) ?? []), keys]);
  }
  const texts = [...byMessage].map(
    ([message, keys]) => `${message} ${Buffer.concat(uniqueKeys(of, keys)).toString("hex")}`,
  );
  return texts.sort().join("\n");
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
    const { accepts, system = {}, foldLimits = {} } = options;
    this.description = { ...(accepts === "any" ? ANY : OWN), ...system, ...foldLimits };
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

  async verifySignatures(raws: SignedRaws): Promise<SignatureVerdict[]> {
    this.assertAlive();
    const { rawsMax = 0 } = this.description;
    if (rawsMax > 0 && this.signersOf([raws]) > rawsMax) {
      throw new ProverError("refused", `more signatures than raws_max, ${rawsMax}`);
    }
    return this.verdicts(raws);
  }

  async verify(proof: ClaimedProof): Promise<boolean> {
    this.assertAlive();
    return this.attests(proof);
  }

  async prove(job: ProofJob): Promise<Uint8Array> {
    this.assertAlive();
    if (this.state === "proving") throw new ProverError("internal", "a proof is running already");
    const proof = this.proofOf(job);
    this.state = "proving";
    const raws = this.signersOf(job.raws);
    const shape = { raws, children: job.children.length };
    const proveMs = this.options.proveMs(
      job.kind === "fold" ? shape : { ...shape, messages: job.wanted.length },
    );
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
    return failure === "invalid" ? new Uint8Array(PREFIXES[job.kind]) : proof;
  }

  private verdicts(raws: SignedRaws): SignatureVerdict[] {
    const count = signerCountOf(this.description, raws);
    if (this.description.anySize === true) return Array.from({ length: count }, () => "ok");
    const { publicKeyBytes, signatureBytes } = this.description;
    const ofKeys = split(raws.signatures, signatureBytes);
    return split(raws.keys, publicKeyBytes).map((key, i) =>
      verdictOn(this.description, raws, key, ofKeys[i] ?? Buffer.alloc(signatureBytes)),
    );
  }

  private attests({ kind, bytes, claims }: ClaimedProof): boolean {
    for (const { keys } of claims) keyCountOf(this.description, keys);
    return proofOf(this.description, kind, claims).equals(bytes);
  }

  private proofOf({ kind, raws, children, wanted }: ProofJob): Uint8Array {
    if (raws.length === 0 && children.length === 0) {
      throw new ProverError("refused", "nothing to prove");
    }
    if (kind === "fold") this.checkLimits(raws, children.length);
    for (const each of raws) {
      const bad = this.verdicts(each).findIndex((verdict) => verdict !== "ok");
      if (bad !== -1) throw new ProverError("refused", `raw signature ${bad} does not verify`);
    }
    if (children.some((child) => !this.attests(child))) {
      throw new ProverError("refused", "a child does not verify");
    }
    const given = [...raws, ...children.flatMap(({ claims }) => claims)];
    if (textOf(this.description, given) !== textOf(this.description, wanted)) {
      throw new ProverError("refused", "the claims wanted are not those of the inputs");
    }
    return new Uint8Array(proofOf(this.description, kind, wanted));
  }

  private signersOf(raws: readonly SignedRaws[]): number {
    return raws.reduce((sum, each) => sum + signerCountOf(this.description, each), 0);
  }

  private checkLimits(raws: readonly SignedRaws[], children: number): void {
    const signatures = this.signersOf(raws);
    if (fitsOneJob(foldLimitsOf(this.description), { raws: signatures, children })) return;
    const what = `${signatures} raw signatures and ${children} children`;
    throw new ProverError("refused", `a fold of ${what} is over the limits`);
  }

  private assertAlive(): void {
    if (this.state === "ended") throw new ProverError("died", "the fake prover has ended");
  }
}
