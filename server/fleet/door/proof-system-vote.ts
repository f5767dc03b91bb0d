/**
 * Which proof system a door without devices proves with: the one of most lane hosts, decided once,
 * half a second after the first of them is heard, or as soon as three agree and none differs. So no
 * single host decides it, unless it is alone.
 */
import { proofSystemOf } from "../../lane/proof-system.js";
import type { ProverDescription } from "../../work/prover-description.js";

const VOTE_MS = 500;
const AGREED = 3;

export class ProofSystemVote {
  private readonly votes = new Map<string, ProverDescription>();
  private beganAtMs: number | undefined;
  private chosen: ProverDescription | undefined;

  /** Notes what a host proves with; its latest vote counts. */
  vote(host: string, description: ProverDescription, nowMs: number): void {
    if (this.chosen !== undefined) return;
    this.beganAtMs ??= nowMs;
    this.votes.set(host, description);
  }

  /** Forgets the vote of a host that is gone. */
  withdraw(host: string): void {
    this.votes.delete(host);
    if (this.votes.size === 0) this.beganAtMs = undefined;
  }

  /** What was decided; undefined before. */
  result(nowMs: number): ProverDescription | undefined {
    if (this.chosen !== undefined || this.beganAtMs === undefined) return this.chosen;
    const counts = new Map<string, { count: number; description: ProverDescription }>();
    for (const [, description] of [...this.votes].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const system = sizesOf(description);
      const { count } = counts.get(system) ?? { count: 0 };
      counts.set(system, { count: count + 1, description });
    }
    const [most, ...others] = [...counts.values()].sort((a, b) => b.count - a.count);
    const doAgree = others.length === 0 && (most?.count ?? 0) >= AGREED;
    if (!doAgree && nowMs - this.beganAtMs < VOTE_MS) return undefined;
    this.chosen = most?.description;
    return this.chosen;
  }
}

/** What a lane host proves instead of what the door does, for people; undefined when it is the same. */
export function otherSystem(
  theirs: ProverDescription,
  ours: ProverDescription,
): string | undefined {
  if (sizesOf(theirs) === sizesOf(ours)) return undefined;
  const [their, our] = [proofSystemOf(theirs), proofSystemOf(ours)];
  const sizes = their === our ? " with keys or signatures of other sizes" : "";
  return `it proves ${their}${sizes}, but this service proves ${our}`;
}

function sizesOf(description: ProverDescription): string {
  const { publicKeyBytes, signatureBytes, anySize = false, fake } = description;
  return [proofSystemOf(description), publicKeyBytes, signatureBytes, anySize, fake].join(" ");
}
