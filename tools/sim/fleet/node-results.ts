/** What the nodes of a simulated fleet learned of their snapshots, and what must hold of it. */
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { LeftOutReason } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { bitsToIndices } from "../../../proto/bitlist.js";
import type { DecodedGroup } from "../../../server/work/group.js";
import { foldFaults } from "../work/fold-faults.js";
import { mergeFaults } from "../work/merge-faults.js";
import { KEY_BYTES } from "../work/sim-keys.js";
import { proofOf } from "../sim-prover.js";
import type { Snapshot } from "./snapshot.js";
import { inputsOf } from "../../../server/work/group.js";

interface Told {
  snapshot: Snapshot;
  /** How each group ended, in the order in which the node heard it. */
  endings: Map<number, string[]>;
  skips: string[];
}

export class NodeResults {
  private readonly told = new Map<string, Told>();

  /** @param broken called with each promise that is broken */
  constructor(private readonly broken: (what: string) => void) {}

  submitted(snapshot: Snapshot): void {
    this.told.set(snapshot.requestId, { snapshot, endings: new Map(), skips: [] });
  }

  skipped({ requestId }: Snapshot, reason: string): void {
    this.told.get(requestId)?.skips.push(reason);
  }

  ended({ requestId, ...snapshot }: Snapshot, at: number, ending: string, outcome?: Outcome): void {
    const told = this.told.get(requestId);
    if (told === undefined) return this.broken(`${requestId} ended, and nobody submitted it`);
    told.endings.set(at, [...(told.endings.get(at) ?? []), ending]);
    const group = snapshot.groups[at];
    if (group === undefined) return this.broken(`${requestId} has no group ${at}`);
    if (outcome === undefined) return;
    const { work } = group;
    if (work.kind === "merge") {
      for (const fault of mergeFaults({ ...group, work }, outcome)) {
        this.broken(`${requestId}/${at}: ${fault}`);
      }
      return;
    }
    if (outcome.proof.length === 0) return;
    const participants = bitsToIndices(outcome.participants);
    const keys = participants.map((validator) => keyOf(group, validator));
    const named = keys.flatMap((key) => key ?? []);
    if (named.length < keys.length)
      return this.broken(`${requestId}/${at} names another node's validators`);
    const claim = { ...work.message, keys: Buffer.concat(named) };
    if (Buffer.compare(proofOf([claim]), outcome.proof) !== 0)
      this.broken(`${requestId}/${at}: the proof does not attest those that it names`);
    const isCut = outcome.leftOut.some(({ reason }) => reason === LeftOutReason.SHED);
    if (isCut && !snapshot.mayShed) this.broken(`${requestId}/${at} was cut, forbidden`);
    for (const fault of foldFaults(work, outcome)) this.broken(`${requestId}/${at}: ${fault}`);
  }

  /** To be called at the end: every accepted group has ended once, and no skipped one. */
  check(): void {
    for (const [requestId, { snapshot, endings, skips }] of this.told) {
      if (skips.length > 1) this.broken(`${requestId} was skipped ${skips.length} times`);
      for (const at of snapshot.groups.keys()) {
        const count = (endings.get(at) ?? []).length;
        if (count + skips.length !== 1)
          this.broken(`${requestId}/${at} ended ${count} times, skipped ${skips.length} times`);
      }
    }
  }

  /** How often a group ended so, and a request was skipped so. */
  endings(): Record<string, number> {
    const counts: Record<string, number> = {};
    const count = (what: string) => (counts[what] = (counts[what] ?? 0) + 1);
    for (const { endings, skips } of this.told.values()) {
      for (const reason of skips) count(`skipped ${reason}`);
      for (const each of [...endings.values()].flat()) count(each);
    }
    return counts;
  }

  /** Requests of which not every group was proved before its deadline or fence. */
  notProved(): string[] {
    return [...this.told].flatMap(([requestId, { snapshot, endings, skips }]) => {
      const isProved = ([first]: readonly string[]) => first?.startsWith("proved") === true;
      const all = [...snapshot.groups.keys()].map((at) => endings.get(at) ?? []);
      if (skips.length === 0 && all.every(isProved)) return [];
      return [`${requestId}: ${[...skips, ...all.map((each) => each.join("+"))].join(", ")}`];
    });
  }

  wasProved(requestId: string, at: number): boolean {
    return this.told.get(requestId)?.endings.get(at)?.[0]?.startsWith("proved") === true;
  }
}

/** The key of a validator of the group; undefined for another's. */
function keyOf({ work }: DecodedGroup, validator: number): Uint8Array | undefined {
  const { raws, children } = inputsOf(work);
  for (const { validators, keys } of [...raws, ...children]) {
    const at = validators.indexOf(validator);
    if (at >= 0) return keys.subarray(at * KEY_BYTES, (at + 1) * KEY_BYTES);
  }
  return undefined;
}
