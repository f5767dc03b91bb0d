/**
 * Which proof system a door without devices proves with: the one of most lane hosts, decided half a
 * second after the first of them is heard, or as soon as three agree and none differs. So no single
 * host decides it, unless it is alone. It is decided anew when lane hosts are heard and none of them
 * has had it for 10 s: they all got another prover.
 */
import { proofSystemOf } from "../../work/prover-description.js";
import type { ProverDescription } from "../../work/prover-description.js";

const VOTE_MS = 500;
const AGREED = 3;
/** Longer than a host takes to come back after a cut, so that a cut does not hand the vote to others. */
const WITHOUT_MS = 10_000;

interface Vote {
  /** Equal for hosts that prove the same. */
  readonly system: string;
  readonly description: ProverDescription;
}

export class ProofSystemVote {
  private readonly votes = new Map<string, Vote>();
  /** The hosts that prove what was decided. */
  private readonly agreeing = new Set<string>();
  private beganAtMs: number | undefined;
  private chosen: Vote | undefined;
  /** Since when no host has proved what was decided, while others are heard. */
  private withoutSinceMs: number | undefined;

  /** Notes what a host proves with; its latest vote counts. */
  vote(host: string, description: ProverDescription, nowMs: number): void {
    this.beganAtMs ??= nowMs;
    const vote = { system: sizesOf(description), description };
    this.votes.set(host, vote);
    if (vote.system === this.chosen?.system) this.agreeing.add(host);
    else this.agreeing.delete(host);
  }

  /** Forgets the vote of a host that is gone. */
  withdraw(host: string): void {
    this.votes.delete(host);
    this.agreeing.delete(host);
    if (this.votes.size === 0) this.beganAtMs = undefined;
  }

  /** What was decided; undefined before. */
  result(nowMs: number): ProverDescription | undefined {
    if (this.chosen === undefined || this.isDueAnew(nowMs)) this.decide(nowMs);
    return this.chosen?.description;
  }

  private isDueAnew(nowMs: number): boolean {
    if (this.agreeing.size > 0 || this.votes.size === 0) this.withoutSinceMs = undefined;
    else this.withoutSinceMs ??= nowMs;
    return this.withoutSinceMs !== undefined && nowMs - this.withoutSinceMs >= WITHOUT_MS;
  }

  private decide(nowMs: number): void {
    if (this.beganAtMs === undefined) return;
    const votersOf = new Map<string, string[]>();
    for (const [host, { system }] of [...this.votes].sort(([a], [b]) => (a < b ? -1 : 1))) {
      votersOf.set(system, [...(votersOf.get(system) ?? []), host]);
    }
    const [most = [], ...others] = [...votersOf.values()].sort((a, b) => b.length - a.length);
    const doAgree = others.length === 0 && most.length >= AGREED;
    if (!doAgree && nowMs - this.beganAtMs < VOTE_MS) return;
    this.chosen = this.votes.get(most[0] ?? "");
    this.withoutSinceMs = undefined;
    this.agreeing.clear();
    for (const host of most) this.agreeing.add(host);
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
