/**
 * The verifications that others ask of this process: callers of VerifyAggregate, and doors of a lane
 * host. One at a time for each proof system, so that a verification of the process's own work waits in
 * a prover for one of them at most. The others wait here, and begin in turns of those who ask; the
 * limits on how many may wait are the owner's.
 */
import type { ClaimedProof } from "../prover/prover.js";
import { proofSystemOf } from "../work/prover-description.js";
import type { ReadyVerifier } from "./local-lanes.js";

export class VerifyTurns {
  /**
   * Who waits, by proof system and asker; the asker whose turn is next comes first. A proof system
   * without an entry is free.
   */
  private readonly waiting = new Map<string, Map<string, (() => void)[]>>();

  /**
   * The verdict on the proof, once it is the asker's turn. Rejects as `verify` does, and with the
   * signal's reason when nobody wants the verdict by then.
   * @param began called when the turn begins
   */
  async verify(
    asker: string,
    { description, verifier }: ReadyVerifier,
    proof: ClaimedProof,
    { signal, began }: { signal?: AbortSignal; began?: () => void } = {},
  ): Promise<boolean> {
    const system = proofSystemOf(description);
    await this.turn(system, asker);
    try {
      signal?.throwIfAborted();
      began?.();
      return await verifier.verify(proof);
    } finally {
      // A prover that did not answer in time may hang: it gets no other one on top.
      void (verifier.settled?.() ?? Promise.resolve()).then(() => this.pass(system));
    }
  }

  private async turn(system: string, asker: string): Promise<void> {
    const waiting = this.waiting.get(system);
    if (waiting === undefined) {
      this.waiting.set(system, new Map());
      return;
    }
    await new Promise<void>((begin) => {
      waiting.set(asker, [...(waiting.get(asker) ?? []), begin]);
    });
  }

  /** Begins the next turn. */
  private pass(system: string): void {
    const waiting = this.waiting.get(system);
    const [first] = waiting ?? [];
    if (waiting === undefined || first === undefined) return void this.waiting.delete(system);
    const [asker, [begin, ...rest]] = first;
    // Again at the end.
    waiting.delete(asker);
    if (rest.length > 0) waiting.set(asker, rest);
    begin?.();
  }
}
