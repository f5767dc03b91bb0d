/** Merges of the simulation: some with bad or deadly components, some the same work as another node's. */
import type {
  ComponentWork,
  DecodedGroup,
  LeftOut,
  MergeWork,
} from "../../../server/work/group.js";
import { limits } from "../../../server/limits.js";
import { inputsOf } from "../../../server/work/group.js";
import { decodedGroup } from "../../harness/decoded-group.js";
import type { Random } from "../random.js";
import { BAD, DESCRIPTION, POISON, proofOf } from "../sim-prover.js";
import { keysOfSim, rootNamed } from "./sim-keys.js";

const COMPONENTS_MAX = 4;
const RAWS_MAX = 20;

export interface MergeOptions {
  /** Of its messages; unique. */
  name: string;
  /** In its snapshot. */
  at: number;
  /** Chance of an input that ends whatever prover merges it. */
  poison: number;
}

export function drawMerge(
  random: Random,
  { name, at, poison }: MergeOptions,
): DecodedGroup<MergeWork> {
  const count = random.whole(1, COMPONENTS_MAX);
  const components = Array.from({ length: count }, (_, nth) => {
    const component = goodComponent(random, `${name}/m${nth}`, random.chance(0.5));
    if (random.chance(0.1)) spoil(component, BAD);
    return component;
  });
  const first = components.find(({ from }) => from.kind === "raws");
  if (first !== undefined && random.chance(poison)) spoil(first, POISON);
  // Decoding has found a validator without a key, and says nothing of the inputs.
  const isWhole = random.chance(0.95);
  const leftOut = isWhole ? [] : [unknownKey(random.whole(0, count - 1))];
  const group = mergeOf(components);
  if (isWhole) return { ...group, isOverLimit: at >= limits.groupsMax };
  const work: MergeWork = { kind: "merge", components: [], leftOut, logInvRate: 0 };
  return {
    ...group,
    work,
    digest: decodedGroup(work, DESCRIPTION).digest,
    isOverLimit: at >= limits.groupsMax,
  };
}

/** A merge of raw signatures and a proof, which are all valid. */
export function plainMerge(random: Random, name: string): DecodedGroup<MergeWork> {
  return mergeOf(
    [false, true].map((isProof, nth) => goodComponent(random, `${name}/m${nth}`, isProof)),
  );
}

const mergeOf = (components: readonly ComponentWork[]) =>
  decodedGroup<MergeWork>({ kind: "merge", components, leftOut: [], logInvRate: 0 }, DESCRIPTION);

function goodComponent(random: Random, name: string, isProof: boolean): ComponentWork {
  const message = { root: rootNamed(name), slot: 1 };
  const validators = Array.from({ length: random.whole(1, RAWS_MAX) }, (_, nth) => nth);
  const keys = keysOfSim(validators);
  if (isProof) {
    const proof = proofOf([{ ...message, keys }]);
    return { message, from: { kind: "proof", child: { index: 0, validators, keys, proof } } };
  }
  const signatures = new Uint8Array(keys.length);
  return { message, from: { kind: "raws", raws: { validators, keys, signatures } } };
}

/** Changes the first byte of its first input. */
function spoil({ from }: ComponentWork, byte: number): void {
  (from.kind === "raws" ? from.raws.signatures : from.child.proof)[0] = byte;
}

function unknownKey(componentIndex: number): LeftOut {
  const input = { kind: "component", componentIndex } as const;
  return { reason: "unknown_key", input, digest: new Uint8Array(32) };
}

/** The same inputs under another node's validator indices. */
export function sameMerge(
  merge: DecodedGroup<MergeWork>,
  at: number,
  shift: number,
): DecodedGroup<MergeWork> {
  const isOverLimit = at >= limits.groupsMax;
  if (merge.work.leftOut.length > 0) return { ...merge, isOverLimit };
  const components = merge.work.components.map(({ message, from }): ComponentWork => {
    if (from.kind === "raws") {
      return { message, from: { kind: "raws", raws: shifted(from.raws, shift) } };
    }
    return { message, from: { kind: "proof", child: shifted(from.child, shift) } };
  });
  return { ...mergeOf(components), isOverLimit };
}

/** The same components in the opposite order: other work. */
export function turnedMerge(merge: DecodedGroup<MergeWork>): DecodedGroup<MergeWork> {
  const { leftOut, components } = merge.work;
  return leftOut.length > 0 ? merge : mergeOf([...components].reverse());
}

const shifted = <T extends { validators: readonly number[] }>(part: T, shift: number): T => ({
  ...part,
  validators: part.validators.map((validator) => validator + shift),
});

/** Positions of the components that have to be named if the merge is looked at, ascending. */
export function badComponents({ components, leftOut }: MergeWork): number[] {
  if (leftOut.length > 0) {
    return leftOut.flatMap(({ input }) =>
      input.kind === "component" ? [input.componentIndex] : [],
    );
  }
  return components.flatMap((component, at) => {
    const { raws, children } = inputsOf({ kind: "merge", components: [component], logInvRate: 0 });
    const isBad = [
      ...raws.map(({ signatures }) => signatures),
      ...children.map(({ proof }) => proof),
    ].some(([first]) => first === BAD);
    return isBad ? [at] : [];
  });
}
