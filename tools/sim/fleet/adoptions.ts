/**
 * What becomes of the proofs that run when their door dies: a later door adopts them, or the work is
 * proved once more, or nobody asks for it again.
 */
export interface AdoptionCounts {
  adopted: number;
  repeated: number;
  unasked: number;
}

type Fate = keyof AdoptionCounts;

export class Adoptions {
  /** By the text of the proof: of a tree each job has one. */
  private readonly fates = new Map<string, Fate>();

  orphaned(proof: string): void {
    this.fates.set(proof, "unasked");
  }

  /** A door has asked for the attempt at this proof, or for the proof. */
  adopted(proof: string): void {
    this.note(proof, "adopted");
  }

  /** This proof has started. */
  proved(proof: string): void {
    this.note(proof, "repeated");
  }

  get counts(): AdoptionCounts {
    const counts = { adopted: 0, repeated: 0, unasked: 0 };
    for (const fate of this.fates.values()) counts[fate]++;
    return counts;
  }

  private note(proof: string, fate: Fate): void {
    const known = this.fates.get(proof);
    if (known !== undefined && known !== "repeated") this.fates.set(proof, fate);
  }
}
