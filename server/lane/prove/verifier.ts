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

  constructor(private readonly modules: VerifierModules) {}

  /** The description of the prover that is asked first; undefined while none can be asked. */
  describe(): ProverDescription | undefined {
    return this.modules.provers()[0]?.description;
  }

  async verifySignatures(raws: SignedRaws) {
    const verdicts = await this.ask(
      (prover) => prover.verifySignatures(raws),
      (prover) =>
        (raws.keys.length / prover.description.publicKeyBytes) * limits.verifyMsPerSignature,
    );
    const valid = verdicts.filter((verdict) => verdict === "ok").length;
    this.modules.metrics.validSignatures.inc(valid);
    this.modules.metrics.invalidSignatures.inc(verdicts.length - valid);
    return verdicts;
  }

  async verify(proof: ClaimedProof) {
    const { clock, metrics } = this.modules;
    const startMs = clock.nowMs();
    const isValid = await this.ask(
      (prover) => prover.verify(proof),
      () => 0,
    );
    metrics.verifySeconds.observe((clock.nowMs() - startMs) / 1000);
    (isValid ? metrics.validProofs : metrics.invalidProofs).inc();
    return isValid;
  }

  private async ask<T>(
    question: (prover: Prover) => Promise<T>,
    extraMs: (prover: Prover) => number,
  ): Promise<T> {
    const asked = new Set<Prover>();
    let last = new ProverError("died", "no prover is up to verify with");
    for (;;) {
      const prover = this.modules.provers().find((each) => !asked.has(each));
      if (prover === undefined) throw last;
      asked.add(prover);
      try {
        const answer = await this.within(limits.verifyMsMax + extraMs(prover), question(prover));
        this.lastAsked = prover;
        return answer;
      } catch (error) {
        if (!(error instanceof ProverError) || error.kind !== "died") throw error;
        last = error;
        this.deaths++;
      }
    }
  }

  private async within<T>(ms: number, answer: Promise<T>): Promise<T> {
    const { clock } = this.modules;
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
