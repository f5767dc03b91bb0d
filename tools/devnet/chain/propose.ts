/** Builds a block on the head from known aggregates. Pure: reads the store, changes nothing. */
import {
  hex,
  messageOf,
  type Aggregate,
  type Block,
  type BlockWithProofs,
  type RootHex,
} from "./containers.js";
import { isCountable, processBlock, proposerOf, stateRoot, type State } from "./state.js";
import type { Store } from "./store.js";

/** leanSpec: distinct attestation data in a block. */
const DATA_MAX = 8;

export interface BodyLimits {
  /** At most so many attestations, each of another data. Default: 8 data, and all proofs of them. */
  componentsMax?: number;
  /** Takes pending aggregates too, for a block of a later slot: acceptance comes before it. */
  withPending?: boolean;
}

/** A block of this slot, with a proof for each attestation. */
export function buildBlock(store: Store, slot: number): BlockWithProofs {
  const chosen = chooseBody(store, slot);
  const proofs = chosen.map(({ proof }) => proof);
  return { block: assembleBlock(store, slot, chosen), proofs, signature: new Uint8Array() };
}

/**
 * The aggregates of a block of this slot. They are taken until none adds a voter that the state
 * would count: one that justifies may make votes countable that were not before.
 */
export function chooseBody(
  store: Store,
  slot: number,
  { componentsMax, withPending = false }: BodyLimits = {},
): Aggregate[] {
  const maps = withPending ? [store.known, store.pending] : [store.known];
  const aggregates = maps.flatMap((map) => [...map.values()].flat());
  const chosen: Aggregate[] = [];
  const messages = new Set<RootHex>();
  const isAllowed = (message: RootHex) =>
    componentsMax === undefined
      ? messages.has(message) || messages.size < DATA_MAX
      : !messages.has(message) && messages.size < componentsMax;
  for (;;) {
    const state = processBlock(store.headState, blockOf(store, slot, chosen));
    // Within a block votes count by what was finalized before it, whatever the block itself finalizes.
    const counting = { ...state, latestFinalized: store.finalized };
    const next = bestAggregate(
      aggregates.filter(({ data }) => isAllowed(hex(messageOf(data)))),
      counting,
    );
    if (next === undefined) return chosen;
    messages.add(hex(messageOf(next.data)));
    chosen.push(next);
  }
}

/** The block of this slot on the head, with this body. */
export function assembleBlock(store: Store, slot: number, body: readonly Aggregate[]): Block {
  const block = blockOf(store, slot, body);
  return { ...block, stateRoot: stateRoot(processBlock(store.headState, block)) };
}

function blockOf(store: Store, slot: number, body: readonly Aggregate[]): Omit<Block, "stateRoot"> {
  return {
    slot,
    proposerIndex: proposerOf(slot, store.validators),
    parentRoot: store.headBlock.root,
    body: { attestations: body.map(({ data, participants }) => ({ data, participants })) },
  };
}

/** The one that adds most voters to a target; none when no one adds any. */
function bestAggregate(aggregates: readonly Aggregate[], state: State): Aggregate | undefined {
  let best: { aggregate: Aggregate; gain: number } | undefined;
  for (const aggregate of aggregates) {
    if (!isCountable(state, aggregate)) continue;
    const voters = state.justifications.get(hex(aggregate.data.target.root));
    const gain = aggregate.participants
      .getTrueBitIndexes()
      .filter((validator) => voters?.has(validator) !== true).length;
    if (gain > (best?.gain ?? 0)) best = { aggregate, gain };
  }
  return best?.aggregate;
}
