/**
 * The growing candidate: the proof of a block's body, built ahead of the block. A pure machine,
 * `(state, event) → { state, effects }`, with no clock, timer or I/O. It asks for a merge of all
 * components. Where that one is foreseen to miss, it asks for half of what it would add to the proof at
 * hand. When more components come, it asks for all of them at once: that merge replaces one that has not
 * begun, and one that runs goes on. The best verified proof stays at hand. `take` returns that proof or
 * null at once: a proposer never waits.
 */

/** Failed tries after which the same components are given up. */
export const CANDIDATE_TRIES_MAX = 2;

/** Merges in flight at once: one that runs, one that waits, and the one that replaces it. */
export const CANDIDATE_MERGES_MAX = 3;

/** The block that a candidate is for. */
export interface BlockRef {
  slot: number;
  /** Root of the parent block, in hex. */
  parent: string;
}

/** A component that the node offers for the block's body. */
export interface OfferedComponent<C> {
  /** Equal for equal components: the same message with the same signatures or proof. */
  key: string;
  /** What it adds to a body, such as its number of votes; at least 0. */
  worth: number;
  component: C;
}

/** A finished candidate: what the body has, in its order, and the verified proof of all of it. */
export interface Candidate<C, P> {
  components: readonly C[];
  /** Sum over the components. */
  worth: number;
  proof: P;
}

export type CandidateEvent<C, P> =
  /**
   * What the body of this block may have, in the order of the block and of preference: a smaller
   * candidate has the first of these. Replaces the last offer. What is worth more than all that was asked
   * for is asked for at once. Another block than that of the last offer forgets what was for that one.
   */
  | ({ kind: "offered"; components: readonly OfferedComponent<C>[] } & BlockRef)
  /** The parent has left the node's chain, and nothing replaces it yet. */
  | { kind: "stale" }
  /** Follows `submit`: the merge is in flight. */
  | { kind: "submitted"; requestId: string }
  /**
   * Follows `submit` (with `requestId` null), or `submitted`: the merge was not accepted. `isFinal`:
   * these components would be skipped again.
   */
  | { kind: "skipped"; requestId: string | null; isFinal: boolean }
  /**
   * Follows `submit` (with `requestId` null), or `submitted`: so many components are foreseen to miss
   * the block or to be too large. Fewer are asked for at once, and as many again from the next tick on.
   */
  | { kind: "missed"; requestId: string | null }
  /** `isVerified`: the node has verified the proof, or the service says that it has. */
  | { kind: "proved"; requestId: string; proof: P; isVerified: boolean }
  /** Another merge of the node, as a rule a fuller one of this candidate, has replaced it before it began. */
  | { kind: "superseded"; requestId: string }
  /** No proof. `bad`: indices of the components that are to blame; they are not asked for again. */
  | { kind: "failed"; requestId: string; bad: readonly number[] }
  /** The node's slot. What has failed is tried again from the next tick on. */
  | { kind: "tick"; slot: number }
  /** The node makes this block now. The answer is one effect, `taken`. */
  | ({ kind: "take" } & BlockRef);

export type CandidateEffect<C, P> =
  /**
   * Submit a merge of these components, which replaces those that have not begun, and pass `submitted`,
   * `skipped` or `missed`.
   */
  | { kind: "submit"; slot: number; components: readonly C[] }
  /** The node no longer wants this merge. */
  | { kind: "cancel"; requestId: string }
  /** Null: the block's body is empty. */
  | { kind: "taken"; candidate: Candidate<C, P> | null };

/** A merge that is asked for. */
interface Asked<C> {
  /** Null between `submit` and its answer. */
  readonly requestId: string | null;
  readonly components: readonly OfferedComponent<C>[];
}

/** What is known of one block's candidate. */
interface Growing<C, P> extends BlockRef {
  readonly offered: readonly OfferedComponent<C>[];
  /** The merges in flight, the oldest first. Only the last may be without its answer. */
  readonly asked: readonly Asked<C>[];
  /** Worth of the largest merge that was asked for since one has failed. */
  readonly askedWorth: number;
  readonly best: Candidate<C, P> | null;
  /** Keys of bad components. */
  readonly bad: ReadonlySet<string>;
  /** By `listKey`: failed tries. Infinity: proved or given up. */
  readonly tries: ReadonlyMap<string, number>;
  /**
   * Fewest components that have missed since the last tick: fewer are asked for. Infinity: none. 0:
   * nothing is asked for, as a merge has failed.
   */
  readonly missed: number;
}

export interface CandidateState<C, P> {
  readonly componentsMax: number;
  readonly mergesMax: number;
  /** Null: no block is planned. */
  readonly growing: Growing<C, P> | null;
}

export interface CandidateStep<C, P> {
  readonly state: CandidateState<C, P>;
  readonly effects: readonly CandidateEffect<C, P>[];
}

/**
 * Returns the first state. `componentsMax`: most components of a body, from 1. `mergesMax`: most merges at
 * once, from 1; 1 where none can be replaced.
 */
export function createCandidate<C, P>(
  componentsMax: number,
  mergesMax = CANDIDATE_MERGES_MAX,
): CandidateState<C, P> {
  return { componentsMax, mergesMax, growing: null };
}

/** Applies one event. Returns the next state, and the effects to carry out in order. */
export function growCandidate<C, P>(
  state: CandidateState<C, P>,
  event: CandidateEvent<C, P>,
): CandidateStep<C, P> {
  const effects: CandidateEffect<C, P>[] = [];
  const growing = apply(state.growing, event, effects);
  const next = growing === null ? null : ask(growing, state, effects);
  return { state: { ...state, growing: next }, effects };
}

function apply<C, P>(
  growing: Growing<C, P> | null,
  event: CandidateEvent<C, P>,
  effects: CandidateEffect<C, P>[],
): Growing<C, P> | null {
  switch (event.kind) {
    case "offered":
      return offer(growing, event, effects);
    case "stale":
      return drop(growing, effects);
    case "take":
      return take(growing, event, effects);
    case "tick":
      if (growing === null || event.slot > growing.slot) return drop(growing, effects);
      return { ...growing, missed: Infinity };
    case "submitted": {
      const last = growing?.asked.at(-1);
      if (growing === null || last?.requestId !== null) {
        effects.push({ kind: "cancel", requestId: event.requestId });
        return growing;
      }
      const answered = { ...last, requestId: event.requestId };
      return { ...growing, asked: [...growing.asked.slice(0, -1), answered] };
    }
    case "skipped":
    case "missed":
    case "proved":
    case "superseded":
    case "failed":
      return growing === null ? null : end(growing, event, effects);
    default:
      throw new TypeError(event satisfies never);
  }
}

type EventOf<C, P, K extends CandidateEvent<C, P>["kind"]> = Extract<
  CandidateEvent<C, P>,
  { kind: K }
>;

function offer<C, P>(
  growing: Growing<C, P> | null,
  { slot, parent, components }: EventOf<C, P, "offered">,
  effects: CandidateEffect<C, P>[],
): Growing<C, P> {
  if (growing !== null && isSame(growing, { slot, parent }))
    return { ...growing, offered: components };
  drop(growing, effects);
  return {
    slot,
    parent,
    offered: components,
    asked: [],
    askedWorth: 0,
    best: null,
    bad: new Set(),
    tries: new Map(),
    missed: Infinity,
  };
}

/** Forgets everything, and cancels what is in flight. */
function drop<C, P>(growing: Growing<C, P> | null, effects: CandidateEffect<C, P>[]): null {
  cancel(growing?.asked ?? [], effects);
  return null;
}

function cancel<C, P>(asked: readonly Asked<C>[], effects: CandidateEffect<C, P>[]): void {
  for (const { requestId } of asked)
    if (requestId !== null) effects.push({ kind: "cancel", requestId });
}

function take<C, P>(
  growing: Growing<C, P> | null,
  block: BlockRef,
  effects: CandidateEffect<C, P>[],
): Growing<C, P> | null {
  const isWanted = growing !== null && isSame(growing, block);
  effects.push({ kind: "taken", candidate: isWanted ? growing.best : null });
  // A candidate for a later block goes on.
  return growing !== null && growing.slot > block.slot ? growing : drop(growing, effects);
}

function isSame(a: BlockRef, b: BlockRef): boolean {
  return a.slot === b.slot && a.parent === b.parent;
}

/** Ends a merge in flight. An event of another merge is ignored. */
function end<C, P>(
  before: Growing<C, P>,
  event: EventOf<C, P, "skipped" | "missed" | "proved" | "superseded" | "failed">,
  effects: CandidateEffect<C, P>[],
): Growing<C, P> {
  const ended = before.asked.find(({ requestId }) => requestId === event.requestId);
  if (ended === undefined) return before;
  const growing = { ...before, asked: before.asked.filter((each) => each !== ended) };
  const { components } = ended;
  switch (event.kind) {
    case "superseded": // By another merge than a fuller one of this candidate, it is as if skipped.
      return worthInFlight(growing) > worthOf(components)
        ? growing
        : failed(growing, components, 0);
    case "missed":
      return { ...growing, missed: Math.min(growing.missed, components.length) };
    case "skipped":
      return failed(growing, components, event.isFinal ? Infinity : 0);
    case "failed": {
      const bad = event.bad.flatMap((index) => components[index]?.key ?? []);
      return { ...failed(growing, components, 1), bad: new Set([...growing.bad, ...bad]) };
    }
    case "proved":
      if (!event.isVerified) return failed(growing, components, 1);
      return proved(growing, components, event.proof, effects);
    default:
      throw new TypeError(event satisfies never);
  }
}

function failed<C, P>(
  growing: Growing<C, P>,
  components: readonly OfferedComponent<C>[],
  times: number,
): Growing<C, P> {
  const list = listKey(components);
  const tries = new Map(growing.tries).set(list, (growing.tries.get(list) ?? 0) + times);
  return { ...growing, missed: 0, tries, askedWorth: worthInFlight(growing) };
}

/** Keeps the proof if it is the best, and cancels what is in flight and is worth no more. */
function proved<C, P>(
  growing: Growing<C, P>,
  offered: readonly OfferedComponent<C>[],
  proof: P,
  effects: CandidateEffect<C, P>[],
): Growing<C, P> {
  const tries = new Map(growing.tries).set(listKey(offered), Infinity);
  const worth = worthOf(offered);
  if (worth <= (growing.best?.worth ?? 0)) return { ...growing, tries };
  const isStillWanted = ({ components }: Asked<C>) => worthOf(components) > worth;
  cancel(
    growing.asked.filter((each) => !isStillWanted(each)),
    effects,
  );
  const components = offered.map(({ component }) => component);
  const asked = growing.asked.filter(isStillWanted);
  return { ...growing, tries, asked, best: { components, worth, proof } };
}

/** Asks for the next merge, if one is worth it and fewer than `mergesMax` are in flight. */
function ask<C, P>(
  growing: Growing<C, P>,
  { componentsMax, mergesMax }: CandidateState<C, P>,
  effects: CandidateEffect<C, P>[],
): Growing<C, P> {
  const { slot, offered, bad, tries, missed, asked, askedWorth } = growing;
  if (asked.length >= mergesMax || asked.at(-1)?.requestId === null) return growing;
  const useful = offered.filter(({ key, worth }) => worth > 0 && !bad.has(key));
  let components: readonly OfferedComponent<C>[] = useful.slice(0, Math.min(componentsMax, missed));
  if (components.length === missed) components = fewer(growing, components);
  for (; isBetter(growing, components); components = fewer(growing, components)) {
    if ((tries.get(listKey(components)) ?? 0) >= CANDIDATE_TRIES_MAX) continue;
    effects.push({ kind: "submit", slot, components: components.map((each) => each.component) });
    return {
      ...growing,
      asked: [...asked, { requestId: null, components }],
      askedWorth: Math.max(askedWorth, worthOf(components)),
    };
  }
  return growing;
}

/** The first of the components: without half of those that make it better. */
function fewer<C, P>(
  growing: Growing<C, P>,
  components: readonly OfferedComponent<C>[],
): readonly OfferedComponent<C>[] {
  const added = components.filter((_, at) => isBetter(growing, components.slice(0, at + 1))).length;
  return components.slice(0, components.length - Math.ceil(added / 2));
}

/**
 * Whether a proof of these would be worth more than the one at hand. Beside a merge in flight: whether
 * these are worth more than all that was asked for, so that what was foreseen to miss is not asked for again.
 */
function isBetter<C, P>(
  { best, asked, askedWorth }: Growing<C, P>,
  components: readonly OfferedComponent<unknown>[],
): boolean {
  const least = asked.length > 0 ? askedWorth : (best?.worth ?? 0);
  return worthOf(components) > least;
}

function worthInFlight({ asked }: Growing<unknown, unknown>): number {
  return Math.max(0, ...asked.map(({ components }) => worthOf(components)));
}

function worthOf(components: readonly OfferedComponent<unknown>[]): number {
  return components.reduce((sum, { worth }) => sum + worth, 0);
}

function listKey(components: readonly OfferedComponent<unknown>[]): string {
  return JSON.stringify(components.map(({ key }) => key));
}
