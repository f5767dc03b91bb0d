/** Nodes that submit snapshots of made-up votes, which a fake prover takes unchecked. */
import { AggregatorClient } from "../../client/rpc/aggregator-client.js";
import { bits, snapshot } from "../../tools/harness/vectors.js";
import type { GroupInit } from "../../tools/harness/vectors.js";

/** Number of raw signatures and of children of a group. */
export type GroupSize = readonly [raws: number, children: number];

export interface Submit {
  node: string;
  slot: number;
  groups: readonly GroupSize[];
  deadlineMs?: number;
  fenceMs?: number;
}

const VALIDATORS = 512;
const keys = Array.from({ length: VALIDATORS }, (_, validatorIndex) => ({
  validatorIndex,
  publicKey: new Uint8Array(32)
    .fill(1)
    .fill(validatorIndex % 256, 0, 1)
    .fill(validatorIndex >> 8, 1, 2),
}));

/** Each group has other votes, so that no two are the same work. */
function groupOf([raws, children]: GroupSize, seed: number): GroupInit {
  const point = (of: number) => ({ root: new Uint8Array(32).fill(of), slot: BigInt(of) });
  const head = { root: new Uint8Array(32).fill(seed % 256), slot: BigInt(seed) };
  const signature = (at: number) => new Uint8Array(64).fill((seed * 7 + at) % 256);
  return {
    data: { slot: BigInt(seed), head, target: point(2), source: point(1) },
    rawSignatures: Array.from({ length: raws }, (_, at) => ({
      validatorIndex: at,
      signature: signature(at),
    })),
    children: Array.from({ length: children }, (_, at) => ({
      participants: bits([raws + 2 * at, raws + 2 * at + 1]),
      proof: new Uint8Array(256).fill((seed + at) % 256),
    })),
  };
}

export class Nodes {
  private readonly client: AggregatorClient;
  private submitted = 0;

  constructor(address: string) {
    this.client = new AggregatorClient({ address });
  }

  /** Returns `accepted` or `skipped`. */
  async submit({ node, slot, groups, deadlineMs = 750, fenceMs = 4000 }: Submit): Promise<string> {
    const seed = ++this.submitted * 16;
    const made = groups.map((size, at) => groupOf(size, seed + at));
    const { result } = await this.client.submitSnapshot({
      node: { nodeId: node },
      requestId: `${node}-slot-${slot}-${this.submitted}`,
      snapshot: snapshot(slot, made, keys),
      deadlineMs: Math.round(deadlineMs),
      fenceMs: Math.round(fenceMs),
    });
    return result.case ?? "none";
  }

  close(): void {
    this.client.close();
  }
}
