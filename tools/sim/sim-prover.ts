/**
 * A prover process of the simulation, in virtual time: it needs time to be set up, to verify, to
 * prove and to end, may fail or fall silent in any of it, and reports to its witness what it does.
 */
import type {
  ClaimedProof,
  KeyClaim,
  Prover,
  ProofJob,
  ProverExit,
  SignatureVerdict,
  SignedRaws,
} from "../../server/prover/prover.js";
import type { ProverDescription } from "../../server/work/prover-description.js";
import { ProverError } from "../../server/prover/prover.js";
import type { Shape } from "../../server/work/shape.js";
import { KEY_BYTES, messagesName } from "./work/sim-keys.js";
import type { VirtualClock } from "./virtual-clock.js";

export const SIGNATURE_BYTES = 4;
/** First byte of a signature that ends whatever prover aggregates it. */
export const POISON = 0xdd;
export const BAD = 0xbb;

export const DESCRIPTION: ProverDescription = {
  backend: "sim",
  scheme: "sim",
  revision: "sim-1",
  publicKeyBytes: KEY_BYTES,
  signatureBytes: SIGNATURE_BYTES,
  proofBytesMax: 0,
  childrenMax: 16,
  messagesMax: 16,
  rates: 0,
  fake: true,
};

/** Called at once for what the prover does, for the invariants. */
export interface ProverWitness {
  started(prover: SimProver): void;
  /** `name`: of its work, see `workName`. */
  proofStarted(prover: SimProver, name: string, job: StartedJob): void;
  ended(prover: SimProver): void;
}

/** What one proof is of. */
export interface StartedJob {
  shape: Shape;
  /** The text of the proof that it makes. */
  proof: string;
}

/** The limits of one fold, as a prover describes them. */
export type FoldsOfProver = Pick<
  ProverDescription,
  "rawsMax" | "rawsBesideMax" | "separatesRaws" | "arities"
>;

export interface SimProverOptions {
  device: string;
  setupMs: number;
  doesStart: boolean;
  /** From SIGKILL to the end of the process. */
  exitMs: number;
  verifyMs: () => number;
  proveMs: (shape: Shape, name: string) => number;
  residentBytes: () => number;
  /** What a proof of this shape takes beside. Default: nothing */
  proofBytes?: (shape: Shape) => number;
  /** Messages that it merges. Default: those of `DESCRIPTION`. */
  messagesMax?: number;
  /** What one fold takes. Default: no limit but those of `DESCRIPTION`. */
  folds?: FoldsOfProver;
  /** Default: that of `DESCRIPTION`. */
  revision?: string;
  /** Whether the proof that is made now is wrong. Default: all are right. */
  isWrong?: () => boolean;
  /** What the prover tells is heard in turns of this process. Default: at once. */
  host?: { nowMs: () => number; turn: (hear: () => void) => void };
}

type Phase = "starting" | "serving" | "dying" | "ended";

export class SimProver implements Prover {
  readonly ready: Promise<ProverDescription>;
  readonly exited: Promise<ProverExit>;
  readonly description: ProverDescription;
  readonly pid = undefined;
  isProving = false;
  private peak = 0;
  /** Of the work that is proved: see `workName`. */
  name = "";
  private phase: Phase = "starting";
  private silentSinceMs: number | undefined;
  private readonly pending = new Set<(error: ProverError) => void>();
  private resolveExit: (exit: ProverExit) => void = () => undefined;
  private rejectReady: (error: ProverError) => void = () => undefined;
  private readonly host: NonNullable<SimProverOptions["host"]>;

  constructor(
    private readonly options: SimProverOptions,
    private readonly clock: VirtualClock,
    private readonly witness: ProverWitness,
  ) {
    const { messagesMax, revision } = { ...DESCRIPTION, ...options };
    this.description = { ...DESCRIPTION, messagesMax, revision, ...options.folds };
    this.host = options.host ?? { nowMs: () => clock.nowMs(), turn: (hear) => hear() };
    this.exited = new Promise((resolve) => (this.resolveExit = resolve));
    this.ready = new Promise((resolve, reject) => {
      this.rejectReady = reject;
      clock.at(clock.nowMs() + options.setupMs, () => {
        if (this.phase !== "starting") return;
        if (!options.doesStart) return this.end("start_failed", "setup failed");
        this.phase = "serving";
        this.host.turn(() => resolve(this.description));
      });
    });
    this.ready.catch(() => undefined);
    witness.started(this);
  }

  get device(): string {
    return this.options.device;
  }

  get isAlive(): boolean {
    return this.phase !== "ended";
  }

  get isServing(): boolean {
    return this.phase === "serving";
  }

  residentBytes(): number {
    return this.options.residentBytes();
  }

  peakBytes(): number {
    return this.peak;
  }

  heardAtMs(): number {
    return this.silentSinceMs ?? this.host.nowMs();
  }

  /** SIGSTOP: it answers nothing more until it is killed. */
  fallSilent(): void {
    this.silentSinceMs ??= this.host.nowMs();
  }

  /** From outside: SIGKILL, an abort, the kernel. */
  die(detail: string): void {
    this.endLater("died", detail);
  }

  kill(): void {
    this.endLater("killed_by_us", "killed by the service");
  }

  async verifySignatures({ signatures }: SignedRaws): Promise<SignatureVerdict[]> {
    await this.work(this.options.verifyMs());
    return Array.from({ length: signatures.length / SIGNATURE_BYTES }, (_, at) =>
      signatures[at * SIGNATURE_BYTES] === BAD ? "bad_signature" : "ok",
    );
  }

  async verify({ bytes, claims }: ClaimedProof): Promise<boolean> {
    await this.work(this.options.verifyMs());
    return Buffer.compare(bytes, proofOf(claims)) === 0;
  }

  async prove({ kind, raws, children, wanted }: ProofJob): Promise<Uint8Array> {
    if (this.phase !== "serving") await this.work(0);
    this.name = messagesName(wanted);
    this.isProving = true;
    const signatures = Buffer.concat(raws.map((each) => each.signatures));
    const inputs = { raws: signatures.length / SIGNATURE_BYTES, children: children.length };
    const shape = kind === "fold" ? inputs : { ...inputs, messages: wanted.length };
    const proof = this.options.isWrong?.() === true ? new Uint8Array(1) : proofOf(wanted);
    this.witness.proofStarted(this, this.name, { shape, proof: Buffer.from(proof).toString() });
    const tookMs = this.options.proveMs(shape, this.name);
    this.peak = this.options.residentBytes() + (this.options.proofBytes?.(shape) ?? 0);
    const isPoisoned = signatures.some((byte, at) => at % SIGNATURE_BYTES === 0 && byte === POISON);
    if (isPoisoned) this.clock.at(this.clock.nowMs() + tookMs / 2, () => this.die("poison"));
    // A killed process computes until it has really ended.
    await this.work(tookMs, () => (this.isProving = false));
    return proof;
  }

  /** Takes its time, unless the process falls silent or ends first. */
  private work(ms: number, done: () => void = () => undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.phase === "starting" || this.phase === "ended")
        return reject(new ProverError("died", "not serving"));
      // Of a process that dies, nobody knows until it has ended.
      this.pending.add(reject);
      this.clock.at(this.clock.nowMs() + ms, () => {
        if (this.silentSinceMs !== undefined || this.phase !== "serving") return;
        this.pending.delete(reject);
        done();
        this.host.turn(resolve);
      });
    });
  }

  private endLater(cause: ProverExit["cause"], detail: string): void {
    if (this.phase === "dying" || this.phase === "ended") return;
    const isStarting = this.phase === "starting";
    this.phase = "dying";
    this.clock.at(this.clock.nowMs() + this.options.exitMs, () =>
      this.end(isStarting ? "start_failed" : cause, detail),
    );
  }

  private end(cause: ProverExit["cause"], detail: string): void {
    this.phase = "ended";
    this.isProving = false;
    const { pending } = this;
    this.witness.ended(this);
    this.host.turn(() => {
      this.rejectReady(new ProverError("start_failed", detail));
      for (const reject of pending) reject(new ProverError("died", detail));
      pending.clear();
      this.resolveExit({ cause, detail });
    });
  }
}

/** Attests exactly the keys of these claims, in the order of their messages. */
export function proofOf(claims: readonly Pick<KeyClaim, "root" | "keys">[]): Uint8Array {
  const texts = claims.map(({ root, keys }) => {
    const each = Array.from({ length: keys.length / KEY_BYTES }, (_, at) =>
      Buffer.from(keys.subarray(at * KEY_BYTES, (at + 1) * KEY_BYTES)).toString("hex"),
    );
    return `${Buffer.from(root).toString("hex")} ${[...new Set(each)].sort().join(",")}`;
  });
  return new Uint8Array(Buffer.from(`SIM ${texts.join("; ")}`));
}
