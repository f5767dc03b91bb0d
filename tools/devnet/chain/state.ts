/**
 * The chain's state and its transition: a block's attestations justify and finalize by leanSpec's
 * 3SF-mini rule. Pure: a block makes a new state. Roots are hex strings here.
 */
import { BitArray } from "@chainsafe/ssz";
import {
  hex,
  StateSsz,
  type Attestation,
  type Block,
  type Checkpoint,
  type RootHex,
} from "./containers.js";
import { isJustifiableAfter, isSupermajority } from "./justification.js";

const ZERO_ROOT = new Uint8Array(32);

export interface State {
  readonly slot: number;
  readonly validators: number;
  readonly latestJustified: Checkpoint;
  readonly latestFinalized: Checkpoint;
  /** Root of the block of each earlier slot; zeros for a slot without a block. */
  readonly history: readonly Uint8Array[];
  /** By slot, as long as the history. */
  readonly justifiedSlots: readonly boolean[];
  /** Who voted for each target that is not justified yet. */
  readonly justifications: ReadonlyMap<RootHex, ReadonlySet<number>>;
}

/** The block before all others; its state root is left at zero, as nothing comes before it. */
export function genesisBlock(): Block {
  const roots = { parentRoot: ZERO_ROOT, stateRoot: ZERO_ROOT };
  return { slot: 0, proposerIndex: 0, ...roots, body: { attestations: [] } };
}

export function genesisState(validators: number, root: Uint8Array): State {
  const genesis = { root, slot: 0 };
  return {
    slot: 0,
    validators,
    latestJustified: genesis,
    latestFinalized: genesis,
    history: [],
    justifiedSlots: [],
    justifications: new Map(),
  };
}

/** Whose turn it is. */
export function proposerOf(slot: number, validators: number): number {
  return slot % validators;
}

/** The state after the block. Throws when the block does not fit the state. */
export function processBlock(state: State, block: Omit<Block, "stateRoot">): State {
  if (block.slot <= state.slot) throw new Error(`slot ${block.slot} is not after its parent's`);
  if (block.proposerIndex !== proposerOf(block.slot, state.validators))
    throw new Error(`validator ${block.proposerIndex} may not propose in slot ${block.slot}`);
  const skipped = block.slot - state.slot - 1;
  const advanced: State = {
    ...state,
    slot: block.slot,
    history: [...state.history, block.parentRoot, ...Array<Uint8Array>(skipped).fill(ZERO_ROOT)],
    justifiedSlots: [
      ...state.justifiedSlots,
      state.slot === 0,
      ...Array<boolean>(skipped).fill(false),
    ],
  };
  return processAttestations(advanced, block.body.attestations);
}

/** True when the vote would count towards justification in a block on this state. */
export function isCountable(state: State, { data }: Pick<Attestation, "data">): boolean {
  const { source, target } = data;
  return (
    state.justifiedSlots[source.slot] === true &&
    state.justifiedSlots[target.slot] === false &&
    isInHistory(state, source) &&
    isInHistory(state, target) &&
    target.slot > source.slot &&
    isJustifiableAfter(target.slot, state.latestFinalized.slot)
  );
}

function isInHistory(state: State, { root, slot }: Checkpoint): boolean {
  const at = state.history[slot];
  // A slot without a block has the zero root in the history: nobody can vote for that.
  return at !== undefined && hex(at) === hex(root) && hex(root) !== hex(ZERO_ROOT);
}

function processAttestations(before: State, attestations: readonly Attestation[]): State {
  const justifications = new Map([...before.justifications].map(([k, v]) => [k, new Set(v)]));
  const justifiedSlots = [...before.justifiedSlots];
  let { latestJustified, latestFinalized } = before;
  for (const attestation of attestations) {
    if (!isCountable({ ...before, justifiedSlots }, attestation)) continue;
    const { source, target } = attestation.data;
    const voters = justifications.get(hex(target.root)) ?? new Set<number>();
    justifications.set(hex(target.root), voters);
    for (const voter of attestation.participants.getTrueBitIndexes())
      if (voter < before.validators) voters.add(voter);
    if (!isSupermajority(voters.size, before.validators)) continue;
    // A vote that comes late may justify a lower slot than the latest: that stays the latest.
    latestJustified = target.slot > latestJustified.slot ? target : latestJustified;
    justifiedSlots[target.slot] = true;
    justifications.delete(hex(target.root));
    // Finalized when no slot between could have been justified instead.
    if (isNextJustifiable(source.slot, target.slot, before.latestFinalized.slot))
      latestFinalized = source.slot > latestFinalized.slot ? source : latestFinalized;
  }
  return { ...before, latestJustified, latestFinalized, justifiedSlots, justifications };
}

function isNextJustifiable(source: number, target: number, finalized: number): boolean {
  for (let slot = source + 1; slot < target; slot++)
    if (isJustifiableAfter(slot, finalized)) return false;
  return true;
}

export function stateRoot(state: State): Uint8Array {
  const open = [...state.justifications].sort(([a], [b]) => (a < b ? -1 : 1));
  return StateSsz.hashTreeRoot({
    slot: state.slot,
    latestJustified: state.latestJustified,
    latestFinalized: state.latestFinalized,
    historicalBlockHashes: [...state.history],
    justifiedSlots: BitArray.fromBoolArray([...state.justifiedSlots]),
    justificationsRoots: open.map(([root]) => new Uint8Array(Buffer.from(root, "hex"))),
    justificationsValidators: BitArray.fromBoolArray(
      open.flatMap(([, voters]) =>
        Array.from({ length: state.validators }, (_, validator) => voters.has(validator)),
      ),
    ),
  });
}
