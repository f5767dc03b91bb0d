/** Builds a block on the head from known aggregates. Pure: reads the store, changes nothing. */
import {
  hex,
  messageOf,
  type Aggregate,
  type BlockWithProofs,
  type RootHex,
} from "./containers.js";
import { isCountable, processBlock, proposerOf, stateRoot, type State } from "./state.js";
import type { Store } from "./store.js";

/** leanSpec: distinct attestation data in a block. */
const DATA_MAX = 8;

/**
 * A block of this slot. Attestations are taken until none adds a voter that the state would count:
 * one that justifies may make votes countable that were not before.
 */
export function buildBlock(store: Store, slot: number): BlockWithProofs {
  const parent = store.headState;
  const chosen: Aggregate[] = [];
  const block = {
    slot,
    proposerIndex: proposerOf(slot, store.validators),
    parentRoot: store.headBlock.root,
    body: {
      attestations: [] as { data: Aggregate["data"]; participants: Aggregate["participants"] }[],
    },
  };
  const messages = new Set<RootHex>();
  for (;;) {
    const state = processBlock(parent, block);
    const next = bestAggregate(store, state, messages);
    if (next === undefined)
      return {
        block: { ...block, stateRoot: stateRoot(state) },
        proofs: chosen.map(({ proof }) => proof),
      };
    messages.add(hex(messageOf(next.data)));
    chosen.push(next);
    block.body.attestations.push({ data: next.data, participants: next.participants });
  }
}

/** The one that adds most voters to a target; none when no one adds any. */
function bestAggregate(
  store: Store,
  state: State,
  messages: ReadonlySet<RootHex>,
): Aggregate | undefined {
  let best: { aggregate: Aggregate; gain: number } | undefined;
  for (const [message, aggregates] of store.known) {
    if (!messages.has(message) && messages.size >= DATA_MAX) continue;
    for (const aggregate of aggregates) {
      if (!isCountable(state, aggregate)) continue;
      const voters = state.justifications.get(hex(aggregate.data.target.root));
      const gain = aggregate.participants
        .getTrueBitIndexes()
        .filter((validator) => voters?.has(validator) !== true).length;
      if (gain > (best?.gain ?? 0)) best = { aggregate, gain };
    }
  }
  return best?.aggregate;
}
