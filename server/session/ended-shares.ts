/**
 * The memory that is held for the results of ended sessions: of proofs until their fence, of the rest
 * until the node's record forgets the request.
 */
import type { MemoryShare } from "../memory-budget.js";
import type { RequestRecord } from "./node-record.js";
import type { Session } from "./session.js";

interface EndedShare {
  principal: string;
  share: MemoryShare;
  /** Bytes without the proofs. */
  keptBytes: number;
  request: RequestRecord;
}

export class EndedShares {
  private shares: EndedShare[] = [];
  /** Bytes of all shares of a principal, by its name. */
  private readonly heldBytes = new Map<string, number>();

  /** Bytes held for ended sessions of this principal. */
  heldBy(principal: string): number {
    return this.heldBytes.get(principal) ?? 0;
  }

  /** Holds the results alone of a session that has ended. To be called once for each. */
  add({ share, proofBytes, keptBytes, request, submission }: Session): void {
    share.resize(proofBytes + keptBytes);
    const ended = { principal: submission.principal.name, share, keptBytes, request };
    this.shares.push(ended);
    this.count(ended);
  }

  /** Releases the bytes of proofs past their fence, and all of what is forgotten. */
  expire(nowMs: number): void {
    this.heldBytes.clear();
    this.shares = this.shares.filter((ended) => {
      const { share, keptBytes, request } = ended;
      if (request.isForgotten) share.release();
      else if (nowMs >= request.fenceAtMs) share.resize(keptBytes);
      this.count(ended);
      return !request.isForgotten;
    });
  }

  private count({ principal, share }: EndedShare): void {
    const bytes = this.heldBy(principal) + share.heldBytes;
    if (bytes > 0) this.heldBytes.set(principal, bytes);
  }
}
