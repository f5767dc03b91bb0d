/**
 * The growing candidate: the cases of test/vectors/candidate, any sequence of events, and a slot of a
 * virtual clock.
 */
import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  CANDIDATE_MERGES_MAX,
  CANDIDATE_TRIES_MAX,
  createCandidate,
  growCandidate,
  type Candidate,
  type CandidateEffect,
  type CandidateEvent,
  type CandidateState,
  type OfferedComponent,
} from "../../../../client/machine/candidate.js";
import { candidateSequences, type CandidateSequence } from "../../../../tools/vectors/candidate.js";
import { readVector } from "../../../helpers/machine-vectors.js";

type Effect = CandidateEffect<string, string>;
type Event = CandidateEvent<string, string>;
type Offered = OfferedComponent<string>;

const BLOCK = { slot: 8, parent: "aa" };

const worthOf = (components: readonly Offered[]) =>
  components.reduce((sum, { worth }) => sum + worth, 0);

const listOf = (keys: string, worth = 10): Offered[] =>
  [...keys].map((key) => ({ key, worth, component: key }));

/** A candidate with the answers to its submissions, which are accepted unless the test says so. */
class Player {
  state: CandidateState<string, string>;
  readonly asked: { requestId: string; components: string; isOpen: boolean }[] = [];
  readonly cancelled: string[] = [];
  readonly takes: (Candidate<string, string> | null)[] = [];
  isAccepting = true;

  constructor(componentsMax = 3) {
    this.state = createCandidate(componentsMax);
  }

  send(event: Event): void {
    const { state, effects } = growCandidate(this.state, event);
    this.state = Object.freeze(state);
    for (const effect of effects) this.run(effect);
  }

  private run(effect: Effect): void {
    if (effect.kind === "cancel") this.cancelled.push(effect.requestId);
    if (effect.kind === "taken") this.takes.push(effect.candidate);
    if (effect.kind !== "submit") return;
    if (!this.isAccepting) return this.send({ kind: "skipped", requestId: null, isFinal: false });
    const requestId = `r${this.asked.length}`;
    this.asked.push({ requestId, components: effect.components.join(""), isOpen: true });
    this.send({ kind: "submitted", requestId });
  }

  offer(keys: string, worth = 10, block = BLOCK): void {
    this.send({ kind: "offered", ...block, components: listOf(keys, worth) });
  }

  proved(isVerified = true): void {
    const { requestId = "", components: proof = "" } = this.asked.at(-1) ?? {};
    this.send({ kind: "proved", requestId, proof, isVerified });
  }

  take(block = BLOCK): string | null {
    const before = this.takes.length;
    this.send({ kind: "take", ...block });
    expect(this.takes, "one answer").toHaveLength(before + 1);
    return this.takes.at(-1)?.proof ?? null;
  }

  get lists(): string[] {
    return this.asked.map(({ components }) => components);
  }
}

const loadCases = (): CandidateSequence[] => {
  const { cases } = JSON.parse(readVector("candidate/growing.json")) as {
    cases: CandidateSequence[];
  };
  const lines = readVector("candidate/generated.ndjson").trimEnd().split("\n");
  return [...cases, ...lines.map((line) => JSON.parse(line) as CandidateSequence)];
};

it.each(loadCases())("the case of the vectors: $name", ({ componentsMax, steps }) => {
  let state = createCandidate<string, string>(componentsMax);
  for (const [index, { event, effects, best }] of steps.entries()) {
    const next = growCandidate(state, event);
    state = Object.freeze(next.state);
    expect(next.effects, `step ${index}: ${JSON.stringify(event)}`).toEqual(effects);
    expect(state.growing?.best ?? null, `best after step ${index}`).toEqual(best);
  }
});

it("the committed sequences are those that `npm run vectors` writes", () => {
  expect(readVector("candidate/generated.ndjson") === candidateSequences()).toBe(true);
});

it("the vectors have the form that their schema says, and different names", () => {
  const ajv = new Ajv2020({ strict: true });
  const read = (name: string) => JSON.parse(readVector(`schema/${name}`)) as object;
  for (const name of ["candidate-event.json", "candidate-effect.json", "candidate.json"])
    ajv.addSchema(read(name), name);
  const cases = loadCases();
  expect(ajv.validate("candidate.json", { cases }), ajv.errorsText()).toBe(true);
  expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
});

const block = fc.record({ slot: fc.constantFrom(8, 9), parent: fc.constantFrom("aa", "bb") });
const request = fc.nat({ max: 2 });
const step = fc.oneof(
  fc.record({
    do: fc.constant("offered" as const),
    block,
    keys: fc.uniqueArray(fc.constantFrom("a", "b", "c", "d"), { maxLength: 4 }),
    worth: fc.integer({ min: 0, max: 3 }),
  }),
  fc.record({ do: fc.constant("proved" as const), request, isVerified: fc.boolean() }),
  fc.record({ do: fc.constant("failed" as const), request, bad: fc.array(fc.nat({ max: 3 })) }),
  fc.record({ do: fc.constant("skipped" as const), request, isFinal: fc.boolean() }),
  fc.record({ do: fc.constant("missed" as const), request }),
  fc.record({ do: fc.constant("superseded" as const), request }),
  fc.record({ do: fc.constant("accepts" as const), isAccepting: fc.boolean() }),
  fc.record({ do: fc.constant("tick" as const), slot: fc.constantFrom(7, 7, 8, 9) }),
  fc.record({ do: fc.constant("stale" as const) }),
  fc.record({ do: fc.constant("take" as const), block }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Plays a step; answers go to one of the newest merges, also to those that are over. */
function play(player: Player, each: Step): void {
  const at = "request" in each ? player.asked.at(-1 - each.request) : undefined;
  const requestId = at?.requestId ?? "none";
  switch (each.do) {
    case "offered": {
      const { keys, worth, block: ref } = each;
      return player.send({ kind: "offered", ...ref, components: listOf(keys.join(""), worth) });
    }
    case "proved":
      return player.send({ ...each, kind: "proved", requestId, proof: at?.components ?? "" });
    case "failed":
      return player.send({ ...each, kind: "failed", requestId });
    case "skipped":
      return player.send({ ...each, kind: "skipped", requestId });
    case "missed":
    case "superseded":
      return player.send({ kind: each.do, requestId });
    case "accepts":
      player.isAccepting = each.isAccepting;
      return;
    case "tick":
      return player.send({ kind: "tick", slot: each.slot });
    case "stale":
      return player.send({ kind: "stale" });
    case "take":
      return void player.take(each.block);
  }
}

it("keeps its promises under any sequence of events", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const player = new Player(3);
      let verified = new Set<string>();
      for (const each of steps) {
        const before = player.state.growing;
        const asked = before?.asked ?? [];
        const named = "request" in each ? player.asked.at(-1 - each.request)?.requestId : undefined;
        const own = asked.find(({ requestId }) => requestId === named);
        if (each.do === "proved" && each.isVerified && own)
          verified.add(own.components.map(({ key }) => key).join(""));
        play(player, each);
        const { growing } = player.state;
        const isOther = growing?.slot !== before?.slot || growing?.parent !== before?.parent;
        for (const { requestId } of isOther ? asked : [])
          expect(player.cancelled, "left in flight").toContain(requestId);
        if (each.do === "take") {
          const taken = player.takes.at(-1);
          if (taken) expect(verified.has(taken.proof), "only verified proofs").toBe(true);
          const isKept = before?.slot === each.block.slot && before.parent === each.block.parent;
          expect(taken ?? null).toBe(isKept ? before.best : null);
        }
        if (isOther) verified = new Set();
        else {
          const worth = before?.best?.worth ?? 0;
          expect(growing?.best?.worth ?? 0, "the best stays").toBeGreaterThanOrEqual(worth);
        }
        if (growing?.best) expect(verified.has(growing.best.proof), "verified").toBe(true);
        const inFlight = growing?.asked ?? [];
        expect(inFlight.length).toBeLessThanOrEqual(CANDIDATE_MERGES_MAX);
        const worths = inFlight.map(({ components }) => worthOf(components));
        for (const [at, worth] of worths.entries())
          expect(worth, "each fuller than those before").toBeGreaterThan(
            Math.max(growing?.best?.worth ?? 0, ...worths.slice(0, at)),
          );
        for (const { components } of inFlight) expect(components.length).toBeLessThanOrEqual(3);
        for (const [, tries] of growing?.tries ?? [])
          if (tries !== Infinity) expect(tries).toBeLessThanOrEqual(CANDIDATE_TRIES_MAX);
        const last = inFlight.at(-1);
        const isNew = last !== undefined && !asked.some((was) => was.requestId === last.requestId);
        for (const { key } of isNew ? last.components : [])
          expect(growing?.bad.has(key), "no bad component").toBe(false);
      }
    }),
    { numRuns: 2000 },
  );
});

it("has all that a slot has time for, where the service foresees each miss", () => {
  // A merge of n components takes 500 + 700 n ms, and the block is made at 8000.
  const durationMs = (components: number) => 500 + 700 * components;
  for (let count = 1; count <= 16; count++) {
    const player = new Player(16);
    let [nowMs, asks] = [0, 0];
    const answered = () => player.asked.at(-1);
    player.offer("abcdefghijklmnop".slice(0, count));
    while (answered()?.isOpen === true) {
      const { requestId = "", components: proof = "" } = answered() ?? {};
      for (const each of player.asked) each.isOpen = false;
      asks += 1;
      const endMs = nowMs + durationMs(proof.length);
      if (endMs > 8000) player.send({ kind: "missed", requestId });
      else {
        nowMs = endMs;
        player.send({ kind: "proved", requestId, proof, isVerified: true });
      }
    }
    const body = player.take() ?? "";
    if (durationMs(count) <= 8000) expect(body, "all at once").toHaveLength(count);
    else expect(body.length).toBeGreaterThanOrEqual(Math.floor(count / 2));
    expect(asks).toBeLessThanOrEqual(8);
  }
});

it("asks no more often than it can halve what is offered, down to one, where all would miss", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), (count) => {
      const player = new Player(64);
      const offered = Array.from({ length: count }, (_, nth) => String.fromCodePoint(48 + nth));
      player.offer(offered.join(""));
      while (player.asked.at(-1)?.isOpen === true) {
        const last = player.asked.at(-1);
        for (const each of player.asked) each.isOpen = false;
        player.send({ kind: "missed", requestId: last?.requestId ?? "" });
      }
      expect(player.lists.length).toBeLessThanOrEqual(1 + Math.ceil(Math.log2(count)));
      expect(player.lists.at(-1)).toHaveLength(1);
    }),
  );
});
