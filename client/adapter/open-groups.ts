/**
 * What the shell remembers of submitted groups until the node has their results: their attestation
 * data, which the node may ask about, and how the request writes participants.
 */
import { ProofKind } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { GroupRef } from "../machine/index.js";
import type { SnapshotInit } from "./options.js";

interface CheckpointCopy {
  root: Uint8Array;
  slot: bigint;
}

/** A copy of a group's attestation data, as it was submitted. */
export interface SubmittedData {
  slot: bigint;
  head: CheckpointCopy;
  target: CheckpointCopy;
  source: CheckpointCopy;
}

/** A group of votes whose result the node does not have yet; no merge. */
export interface OpenGroup {
  requestId: string;
  /** Slot of the submission. */
  slot: number;
  groupIndex: number;
  data: SubmittedData;
}

interface OpenRequest {
  isSszBitlists: boolean;
  groups: Map<number, OpenGroup>;
}

export class OpenGroups {
  private readonly requests = new Map<string, OpenRequest>();

  add(requestId: string, slot: number, { groups = [], sszBitlists = false }: SnapshotInit): void {
    const open = groups.flatMap(({ kind, data }, groupIndex): [number, OpenGroup][] =>
      kind === ProofKind.MERGE
        ? []
        : [[groupIndex, { requestId, slot, groupIndex, data: copyOf(data) }]],
    );
    this.requests.set(requestId, { isSszBitlists: sszBitlists, groups: new Map(open) });
  }

  /** Forgets the group. */
  end({ requestId, groupIndex }: GroupRef): void {
    const request = this.requests.get(requestId);
    request?.groups.delete(groupIndex);
    if (request?.groups.size === 0) this.requests.delete(requestId);
  }

  /** Forgets the request. */
  endRequest(requestId: string): void {
    this.requests.delete(requestId);
  }

  /** Whether participants in outcomes of the request have a length bit. */
  isSszBitlists(requestId: string): boolean {
    return this.requests.get(requestId)?.isSszBitlists ?? false;
  }

  /** The indices of matching groups by request, in the order of submission. */
  matching(predicate: (group: OpenGroup) => boolean): { requestId: string; groups: number[] }[] {
    return [...this.requests]
      .map(([requestId, { groups }]) => ({
        requestId,
        groups: [...groups.values()].filter(predicate).map(({ groupIndex }) => groupIndex),
      }))
      .filter(({ groups }) => groups.length > 0);
  }
}

type DataInit = NonNullable<SnapshotInit["groups"]>[number]["data"];

function copyOf(data: DataInit): SubmittedData {
  return {
    slot: data?.slot ?? 0n,
    head: checkpointOf(data?.head),
    target: checkpointOf(data?.target),
    source: checkpointOf(data?.source),
  };
}

function checkpointOf(
  checkpoint: { root?: Uint8Array; slot?: bigint } | undefined,
): CheckpointCopy {
  return {
    root: Uint8Array.from(checkpoint?.root ?? []),
    slot: checkpoint?.slot ?? 0n,
  };
}
