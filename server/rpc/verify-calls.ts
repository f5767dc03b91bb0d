/**
 * The `VerifyAggregate` calls in progress: how many each caller may have, so that another one always
 * finds a place, and the turns in which their proofs are verified.
 */
import type { Clock } from "../clock.js";
import { invalid, Refusal } from "../errors.js";
import type { ReadyVerifier } from "../lane/local-lanes.js";
import { VerifyTurns } from "../lane/verify-turns.js";
import { limits } from "../limits.js";
import type { ClaimedProof } from "../prover/prover.js";
import { ProverError } from "../prover/prover.js";
import type { CallContext } from "./call/call-context.js";

export class VerifyCalls {
  /** The principal of each call in progress. */
  private readonly callers: string[] = [];
  private readonly turns = new VerifyTurns();

  constructor(private readonly clock: Pick<Clock, "nowMs">) {}

  /** The verdict, and how long it took. Rejects with a `Refusal`. */
  async verify(
    ready: ReadyVerifier,
    proof: ClaimedProof,
    { principal, signal }: Pick<CallContext, "principal" | "signal">,
  ): Promise<{ valid: boolean; verifyMs: number }> {
    this.checkPlace(principal);
    this.callers.push(principal);
    let beganAtMs = 0;
    const began = () => void (beganAtMs = this.clock.nowMs());
    try {
      const valid = await this.turns.verify(principal, ready, proof, { signal, began });
      return { valid, verifyMs: Math.round(this.clock.nowMs() - beganAtMs) };
    } catch (error) {
      if (!(error instanceof ProverError)) throw error;
      if (error.kind === "refused") throw invalid("proof", `is refused: ${error.message}`);
      throw new Refusal("unavailable", "", `the prover could not verify: ${error.message}`);
    } finally {
      this.callers.splice(this.callers.indexOf(principal), 1);
    }
  }

  private checkPlace(principal: string): void {
    const all = this.callers.length;
    const own = this.callers.filter((each) => each === principal).length;
    if (own < limits.verifyCallsMax - all) return;
    const detail = `overloaded: ${all} proofs are being verified already, ${own} of them for you`;
    throw new Refusal("resource_exhausted", "", detail);
  }
}
