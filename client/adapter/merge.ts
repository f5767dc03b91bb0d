/** What a node passes to `mergeOrSkip`: the components of one proof of several messages. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  AttestationDataSchema,
  ComponentSchema,
  ProofSystem,
  RawSignatureSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { KeyRole, ProofKind } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AdapterPriority, Gates } from "../machine/index.js";
import type { SnapshotInit, SubmitOptions } from "./options.js";

/** What validators have signed: attestation data, or any root of 32 bytes at a slot. */
type SignedInit =
  | { data: MessageInitShape<typeof AttestationDataSchema> }
  | {
      root: Uint8Array;
      slot: number;
      /** The key that signed: `PROPOSAL` for a proposer's block root. Default `ATTESTATION`. */
      role?: KeyRole;
    };

/** Who has signed it: raw signatures, or a proof with exactly the validators that it covers. */
type SignersInit =
  | { signatures: MessageInitShape<typeof RawSignatureSchema>[] }
  | {
      proof: Uint8Array;
      participants: Uint8Array;
      /** Made the proof; a merge with one of another than the request's is refused unverified. Default: the request's. */
      proofSystem?: Partial<Pick<ProofSystem, "scheme" | "revision">>;
    };

/** One message of a merge, with its signatures or its proof. */
export type ComponentInit = SignedInit & SignersInit;

/**
 * One merge. `mergeOrSkip` copies all bytes; the node may reuse them once it returns. `keys` has the
 * key of each validator of the components, by role.
 */
export interface MergeInit extends Pick<
  SnapshotInit,
  "head" | "justified" | "keys" | "sszBitlists"
> {
  /** In the block's order. The service refuses two components with the same message. */
  components: readonly ComponentInit[];
}

/** The gates of a merge: its node need not be an aggregator. */
export type MergeGates = Omit<Gates, "isAggregator">;

/**
 * How a merge is submitted. It is skipped while another merge of the same priority is in flight.
 * Default priority: `aggregation`, for a body that is built ahead; `proposal` is for the node's own
 * block of the present slot. Default `deadlineMs`: until the fence. Default `steps`: none.
 */
export type MergeOptions = Pick<
  SubmitOptions,
  "priority" | "deadlineMs" | "fenceMs" | "mayReplace" | "steps" | "holdMs" | "traceparent"
>;

/** Returns the snapshot of a merge. Throws `TypeError` for one that every service refuses. */
export function snapshotOfMerge(
  slot: number,
  priority: AdapterPriority,
  { components, ...rest }: MergeInit,
): SnapshotInit {
  for (const [index, component] of components.entries())
    checkComponent(slot, priority, component, `components[${index}]`);
  return {
    ...rest,
    groups: [{ kind: ProofKind.MERGE, components: components.map(wireComponent) }],
  };
}

function checkComponent(
  slot: number,
  priority: AdapterPriority,
  component: ComponentInit,
  name: string,
): void {
  if ("proof" in component && component.participants.length === 0)
    throw new TypeError(`${name}.participants is empty: name the validators of its proof`);
  if (!("root" in component)) return;
  if (!(Number.isSafeInteger(component.slot) && component.slot >= 0))
    throw new TypeError(`${name}.slot is ${component.slot}: give a whole number from 0`);
  const isProposers = component.role === KeyRole.PROPOSAL;
  if (isProposers && priority === "proposal" && component.slot !== slot)
    throw new TypeError(
      `${name}.slot is ${component.slot}, not the present slot ${slot}: ` +
        'give the priority "aggregation" for a block of another slot',
    );
}

function wireComponent(component: ComponentInit): MessageInitShape<typeof ComponentSchema> {
  const claim =
    "root" in component
      ? {
          signed: {
            case: "root" as const,
            value: { root: component.root, slot: BigInt(component.slot) },
          },
          ...(component.role !== undefined && { role: component.role }),
        }
      : { signed: { case: "data" as const, value: component.data } };
  if (!("proof" in component))
    return { claim, from: { case: "raws", value: { signatures: component.signatures } } };
  const { participants, proof, proofSystem } = component;
  return {
    claim: { ...claim, participants },
    from: { case: "proof", value: proof },
    ...(proofSystem !== undefined && { proofSystem }),
  };
}
