/** Folds of the simulation: some with bad or deadly inputs, some the same work as another node's. */
import { limits } from "../../../server/limits.js";
import type { DecodedGroup, FoldWork } from "../../../server/work/group.js";
import { inputsOf } from "../../../server/work/group.js";
import { decodedGroup } from "../../harness/decoded-group.js";
import type { Random } from "../random.js";
import { keysOfSim, rootNamed } from "./sim-keys.js";
import { BAD, DESCRIPTION, POISON, proofOf } from "../sim-prover.js";

export interface GroupOptions {
  /** Of the message; unique. */
  name: string;
  /** In its snapshot. */
  at: number;
  /** Chance of an input that ends whatever prover aggregates it. */
  poison: number;
}

export function drawGroup(
  random: Random,
  { name, at, poison }: GroupOptions,
): DecodedGroup<FoldWork> {
  const root = rootNamed(name);
  const raws = random.whole(0, 40);
  const validators = Array.from({ length: raws }, (_, v) => v);
  const signatures = new Uint8Array(raws * 4);
  const keys = keysOfSim(validators);
  if (raws > 0 && random.chance(poison)) signatures[0] = POISON;
  else if (raws > 0 && random.chance(0.1)) signatures[0] = BAD;
  const message = { root, slot: 1 };
  const childKeys = new Uint8Array([0xc, 0, 0, 1, 0xc, 0, 0, 2]);
  const count = random.chance(0.2) ? random.whole(1, 2) : 0;
  const children = Array.from({ length: count }, (_, index) => {
    const isBad = random.chance(0.2);
    const proof = isBad ? new Uint8Array(3) : proofOf([{ root, keys: childKeys }]);
    return { index, validators: [100, 101], keys: childKeys, proof };
  });
  const raw = { validators, keys, signatures };
  const work = { kind: "fold" as const, message, raws: raw, children, leftOut: [], logInvRate: 0 };
  return { ...decodedGroup(work, DESCRIPTION), isOverLimit: at >= limits.groupsMax };
}

/** A child may be so large. */
const CHILD_BYTES_MAX = 512 * 1024;

/**
 * A group of raw signatures that are all valid. `name`: of the message; unique.
 * @param options `raws`: how many; default: drawn. `ballast`: bytes of invalid children, which are left
 *   out when they are verified; default: none
 */
export function plainGroup(
  random: Random,
  name: string,
  { raws: count = random.whole(1, 40), ballast = 0 }: { raws?: number; ballast?: number } = {},
): DecodedGroup<FoldWork> {
  const root = rootNamed(name);
  const validators = Array.from({ length: count }, (_, v) => v);
  const keys = keysOfSim(validators);
  const raws = { validators, keys, signatures: new Uint8Array(validators.length * 4) };
  const children = Array.from({ length: Math.ceil(ballast / CHILD_BYTES_MAX) }, (_, index) => ({
    ...{ index, validators: [100 + index], keys: new Uint8Array([0xc, 0, 1, index]) },
    proof: new Uint8Array(Math.min(CHILD_BYTES_MAX, ballast)).fill(index),
  }));
  const work = {
    kind: "fold" as const,
    message: { root, slot: 1 },
    raws,
    children,
    leftOut: [],
    logInvRate: 0,
  };
  return decodedGroup(work, DESCRIPTION);
}

/** The same inputs under another node's validator indices. */
export function sameFold(
  group: DecodedGroup<FoldWork>,
  at: number,
  shift: number,
): DecodedGroup<FoldWork> {
  const { work: fold } = group;
  const { raws, children } = fold;
  const shifted = <T extends { validators: readonly number[] }>(part: T) => ({
    ...part,
    validators: part.validators.map((validator) => validator + shift),
  });
  const work = { ...fold, raws: shifted(raws), children: children.map(shifted) };
  return { ...group, work, isOverLimit: at >= limits.groupsMax };
}

/** Every validator that a proof of the group may name. */
export function validatorsOf({ work }: DecodedGroup): Set<number> {
  const { raws, children } = inputsOf(work);
  return new Set([...raws, ...children].flatMap(({ validators }) => validators));
}
