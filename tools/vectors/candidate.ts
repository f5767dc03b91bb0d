/**
 * Generated sequences of the growing candidate: plausible events, drawn from a seed, and the effects
 * that its reference machine has. The same seed gives the same sequence on every machine.
 */
import type {
  Candidate,
  CandidateEffect,
  CandidateEvent,
  OfferedComponent,
} from "../../client/machine/candidate.js";
import { createCandidate, growCandidate } from "../../client/machine/candidate.js";
import { Random } from "../sim/random.js";

type Event = CandidateEvent<string, string>;

const SEQUENCES = 40;
const EVENTS = 40;

export interface CandidateSequence {
  name: string;
  componentsMax: number;
  steps: {
    event: Event;
    effects: readonly CandidateEffect<string, string>[];
    /** After the step. */
    best: Candidate<string, string> | null;
  }[];
}

/** Returns the file's text: one sequence a line, as JSON. */
export function candidateSequences(): string {
  const seeds = Array.from({ length: SEQUENCES }, (_, index) => index + 1);
  return seeds.map((seed) => `${JSON.stringify(candidateSequence(seed))}\n`).join("");
}

function candidateSequence(seed: number): CandidateSequence {
  const random = new Random(seed);
  const componentsMax = random.whole(1, 8);
  const draw = new Draw(random);
  let state = createCandidate<string, string>(componentsMax);
  const steps: CandidateSequence["steps"] = [];
  while (steps.length < EVENTS) {
    const event = draw.event();
    const step = growCandidate(state, event);
    ({ state } = step);
    draw.learn(step.effects);
    steps.push({ event, effects: step.effects, best: state.growing?.best ?? null });
  }
  return { name: `seed ${seed}`, componentsMax, steps };
}

/** Draws events by what was asked for so far. */
class Draw {
  private readonly requests: { id: string; components: readonly string[] }[] = [];
  /** Components of a `submit` without its answer. */
  private unanswered: readonly string[] | null = null;
  private slot = 8;
  private parent = "aa";

  constructor(private readonly random: Random) {}

  learn(effects: readonly CandidateEffect<string, string>[]): void {
    for (const effect of effects) if (effect.kind === "submit") this.unanswered = effect.components;
  }

  event(): Event {
    const { random } = this;
    if (this.unanswered !== null && random.chance(0.95)) return this.answer(this.unanswered);
    if (random.chance(0.06)) return this.other();
    switch (random.pick(["offered", "ended", "ended", "ended", "tick"] as const)) {
      case "offered":
        return this.offer();
      case "ended":
        return this.ended();
      case "tick":
        return { kind: "tick", slot: this.slot - random.pick([2, 1, 1, 1, 1, 1, 1, 0, 0, -1]) };
    }
  }

  private answer(components: readonly string[]): Event {
    this.unanswered = null;
    if (this.random.chance(0.2)) return { kind: "missed", requestId: null };
    if (this.random.chance(0.1))
      return { kind: "skipped", requestId: null, isFinal: this.random.chance(0.3) };
    const id = `r${this.requests.length + 1}`;
    this.requests.push({ id, components });
    return { kind: "submitted", requestId: id };
  }

  private offer(): Event {
    const { random } = this;
    if (random.chance(0.05)) this.slot += 1;
    if (random.chance(0.05)) this.parent = random.pick(["aa", "bb"]);
    const keys = ["a", "b", "c", "d", "e", "f", "g"].filter(() => random.chance(0.8));
    if (random.chance(0.15)) keys.reverse();
    const components: OfferedComponent<string>[] = keys.map((key) => {
      const worth = random.pick([0, 1, 3, 10, 10, 10]);
      return { key, worth, component: key.toUpperCase() };
    });
    return { kind: "offered", slot: this.slot, parent: this.parent, components };
  }

  /** The end of the newest merge, now and then of an earlier one. */
  private ended(): Event {
    const { random } = this;
    const back = random.chance(0.6) ? 1 : random.whole(1, 3);
    const request = this.requests.at(-back);
    if (request === undefined) return this.offer();
    const { id: requestId, components } = request;
    const kind = random.pick([
      "proved",
      "proved",
      "proved",
      "proved",
      "failed",
      "skipped",
      "missed",
      "missed",
      "superseded",
    ] as const);
    switch (kind) {
      case "proved": {
        const proof = `${requestId}:${components.join("")}`;
        return { kind, requestId, proof, isVerified: random.chance(0.9) };
      }
      case "failed": {
        const count = random.whole(0, 2);
        const bad = Array.from({ length: count }, () => random.whole(0, 4));
        return { kind, requestId, bad };
      }
      case "skipped":
        return { kind, requestId, isFinal: random.chance(0.4) };
      case "missed":
      case "superseded":
        return { kind, requestId };
    }
  }

  private other(): Event {
    const { random, slot, parent } = this;
    if (random.chance(0.3)) return { kind: "stale" };
    const isOther = random.chance(0.3);
    return {
      kind: "take",
      slot: slot - (isOther ? 1 : 0),
      parent: random.chance(0.8) ? parent : "cc",
    };
  }
}
