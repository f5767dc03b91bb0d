/**
 * Verifies in a prover process: in the standby while one is set up, so that no running proof delays
 * the verification and no process judges its own proof, otherwise in the active prover. When a
 * process dies or hangs while it verifies, the next one is asked.
 */
import type { Clock } from "../../clock.js";
import { limits } from "../../limits.js";
import type { Metrics } from "../../metrics/metrics.js";
import type { ClaimedProof, Prover, SignatureVerdict, SignedRaws } from "../../prover/prover.js";
import type { ProverDescription } from "../../work/prover-description.js";
import { ProverError } from "../../prover/prover.js";

export interface Verifier {
  /** Number of provers that died or hung while they verified. */
  readonly deaths: number;
  verifySignatures(raws: SignedRaws): Promise<SignatureVerdict[]>;
  verify(proof: ClaimedProof): Promise<boolean>;
}

export interface VerifierModules {
  clock: Clock;
  metrics: Metrics;
  /** The provers to ask now, in order of preference. */
  provers(): readonly Prover[];
}

/** Asks provers in turn. Rejects with `ProverError("died")` when no prover is left. */
export class FailoverVerifier implements Verifier {
  deaths = 0;
  /** The prover that has answered last. */
  lastAsked: Prover | undefined;
  /** Resolve when a prover has answered a question, or has ended. */
  private readonly open = new Set<Promise<void>>();

  constructor(private readonly modules: VerifierModules) {}

  /** The description of the prover that is asked first; undefined while none can be asked. */
  describe(): ProverDescription | undefined {
    return this.modules.provers()[0]?.description;
  }

  async verifySignatures(raws: SignedRaws) {
    const verdicts = await this.ask(async (prover) => {
      const answers: SignatureVerdict[] = [];
      for (const { piece, count } of piecesOf(raws, prover.description)) {
        const ms = limits.verifyMsMax + count * limits.verifyMsPerSignature;
        answers.push(...(await this.within(ms, prover.verifySignatures(piece))));
      }
      return answers;
    });
    const valid = verdicts.filter((verdict) => verdict === "ok").length;
    this.modules.metrics.validSignatures.inc(valid);
    this.modules.metrics.invalidSignatures.inc(verdicts.length - valid);
    return verdicts;
  }

  async verify(proof: ClaimedProof) {
    const { clock, metrics } = this.modules;
    const startMs = clock.nowMs();
    const isValid = await this.ask((prover) =>
      this.within(limits.verifyMsMax, prover.verify(proof)),
    );
    metrics.verifySeconds.observe((clock.nowMs() - startMs) / 1000);
    (isValid ? metrics.validProofs : metrics.invalidProofs).inc();
    return isValid;
  }

  /** Resolves once every prover that was asked has answered or ended, those given up included. */
  async settled() {
    await Promise.all(this.open);
  }

  private async ask<T>(question: (prover: Prover) => Promise<T>): Promise<T> {
    const asked = new Set<Prover>();
    let last = new ProverError("died", "no prover is up to verify with");
    for (;;) {
      const prover = this.modules.provers().find((each) => !asked.has(each));
      if (prover === undefined) throw last;
      asked.add(prover);
      try {
        const answer = await question(prover);
        this.lastAsked = prover;
        return answer;
      } catch (error) {
        if (!(error instanceof ProverError) || error.kind !== "died") throw error;
        last = error;
        this.deaths++;
      }
    }
  }

  private note(answering: Promise<unknown>): void {
    const done = () => void this.open.delete(settled);
    const settled: Promise<void> = answering.then(done, done);
    this.open.add(settled);
  }

  private async within<T>(ms: number, answer: Promise<T>): Promise<T> {
    const { clock } = this.modules;
    this.note(answer);
    let cancel = () => {};
    const timeout = new Promise<never>((_resolve, reject) => {
      cancel = clock.at(clock.nowMs() + ms, () =>
        reject(new ProverError("died", `no verdict from the prover within ${ms} ms`)),
      );
    });
    try {
      return await Promise.race([answer, timeout]);
    } finally {
      cancel();
    }
  }
}

/**
 * The signatures in pieces that the prover takes at once, which is as many as one job may have, and for each
 * of which it is given less time than it may be silent.
 */
function piecesOf(
  raws: SignedRaws,
  { publicKeyBytes, signatureBytes, rawsMax }: ProverDescription,
) {
  const total = raws.keys.length / publicKeyBytes;
  const most = Math.min(rawsMax || Infinity, limits.verifySignaturesMax);
  return Array.from({ length: Math.ceil(total / most) }, (_, at) => {
    const [from, to] = [at * most, Math.min((at + 1) * most, total)];
    const keys = raws.keys.subarray(from * publicKeyBytes, to * publicKeyBytes);
    const signatures = raws.signatures.subarray(from * signatureBytes, to * signatureBytes);
    return { piece: { ...raws, keys, signatures }, count: to - from };
  });
}
