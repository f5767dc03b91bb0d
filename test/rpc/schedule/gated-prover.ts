/** A fake prover whose proofs end when the test says so. */
import { startFakeProver } from "../../../server/prover/fake/fake.js";
import type { Prover } from "../../../server/prover/prover.js";

export class GatedProver {
  /** Provers and proofs started so far. */
  provers = 0;
  proofs = 0;
  private readonly ends: (() => void)[] = [];
  private readonly waiters = new Set<() => void>();

  readonly start = (): Prover => {
    this.provers++;
    return startFakeProver({ proveMs: () => 1, sleep: () => this.proof() });
  };

  /** Resolves once so many proofs have been started in all. */
  async untilProofs(count: number): Promise<void> {
    while (this.proofs < count) await new Promise<void>((wake) => this.waiters.add(wake));
  }

  /** Ends the proofs that run; those of killed provers have ended before. */
  endProofs(): void {
    for (const end of this.ends.splice(0)) end();
  }

  private proof(): Promise<void> {
    this.proofs++;
    for (const wake of this.waiters) wake();
    this.waiters.clear();
    return new Promise((end) => this.ends.push(end));
  }
}
