/** What every policy is given alike: who submits what when, and how long each proof will take. */
import type { Step } from "../../../server/work/submission.js";
import type { GroupSpec } from "./group-spec.js";
import type { Truth } from "./truth.js";

export type Priority = 1 | 2 | 3;
export const BACKLOG: Priority = 3;

export interface SnapshotSpec {
  atMs: number;
  node: string;
  slot: number;
  priority: Priority;
  /** Milliseconds from receipt after which no proof starts (deadline) or is useful (fence). */
  deadlineMs: number;
  fenceMs: number;
  /** What a vote is worth by when its proof is ready; the last step ends at the fence. */
  steps: readonly Step[];
  mayShed: boolean;
  /** Ends what waits of an older snapshot of its node. Default: false. Baselines do not know it. */
  shouldReplace?: boolean;
  /** Fewest inputs of a proof. Default: 1. Baselines do not know it. */
  minInputs?: number;
  groups: readonly GroupSpec[];
}

/** Stands for the budget of a recorded workload, whose snapshots have budgets of their own. */
export const AS_RECORDED = 0;

export interface Scenario {
  workload: string;
  seed: number;
  lanes: number;
  /** In order of time. */
  snapshots: readonly SnapshotSpec[];
  truth: Truth;
  /** A typical proof of this workload, on the first lane. */
  typicalMs: number;
  /** Budget over a typical proof's cost, or `AS_RECORDED`. */
  budgetOverCost: number;
  /** What is submitted earlier lets the service learn its devices, and is not judged. */
  judgedFromMs: number;
  endMs: number;
  /** The node that sends far more than its share. */
  flooder: string | undefined;
  /** Of a recording: how each ask ended then. */
  then?: readonly string[];
  /** Of a recording: what of it the judge cannot run, for people; empty when it runs all. */
  leftOut?: readonly string[];
}

/** One group of one snapshot: what a policy proves in time or does not. */
export interface Ask {
  snapshot: SnapshotSpec;
  group: GroupSpec;
  deadlineAtMs: number;
  fenceAtMs: number;
}

export function asksOf(scenario: Scenario): Ask[] {
  return scenario.snapshots.flatMap(asksOfSnapshot);
}

export function asksOfSnapshot(snapshot: SnapshotSpec): Ask[] {
  const deadlineAtMs = snapshot.atMs + snapshot.deadlineMs;
  const fenceAtMs = snapshot.atMs + snapshot.fenceMs;
  return snapshot.groups.map((group) => ({ snapshot, group, deadlineAtMs, fenceAtMs }));
}

/** What is proved: the message and who signed it. Equal for identical work of several nodes. */
export function contentOf(root: string, validators: readonly number[]): string {
  return `${root}:${[...new Set(validators)].sort((a, b) => a - b).join()}`;
}

/** Of each group that was asked for, as the same one is asked for often. */
const contents = new WeakMap<GroupSpec, string>();

export function contentOfGroup(group: GroupSpec): string {
  const known = contents.get(group);
  if (known !== undefined) return known;
  const { root, raws, children } = group;
  const content = contentOf(root, [...raws, ...children.flat()]);
  contents.set(group, content);
  return content;
}
