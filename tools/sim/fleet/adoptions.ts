/**
 * What becomes of the proofs that run when their door dies: a later door adopts them, or the work is
 * proved once more, or nobody asks for it again.
 */
export interface RunningProof {
  /** Of the work, as in `Assign`. */
  readonly digest: string;
  readonly device: string;
}

export interface AdoptionCounts {
  adopted: number;
  repeated: number;
  unasked: number;
}

type Fate = keyof AdoptionCounts;

export class Adoptions {
  private readonly fates = new Map<string, { device: string; fate: Fate }>();

  orphaned({ digest, device }: RunningProof): void {
    this.fates.set(digest, { device, fate: "unasked" });
  }

  /** A door has asked for the attempt at this work, or for its proof. */
  adopted(digest: string): void {
    this.note(digest, "adopted");
  }

  /** A proof of this work has started. */
  proved(digest: string): void {
    this.note(digest, "repeated");
  }

  get counts(): AdoptionCounts {
    const counts = { adopted: 0, repeated: 0, unasked: 0 };
    for (const { fate } of this.fates.values()) counts[fate]++;
    return counts;
  }

  private note(digest: string, fate: Fate): void {
    const known = this.fates.get(digest);
    if (known !== undefined && known.fate !== "repeated") known.fate = fate;
  }
}
