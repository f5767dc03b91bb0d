/**
 * Generated sequences: plausible events, drawn from a seed, and the effects that the adapter's
 * reference machine has. The same seed gives the same sequence on every machine.
 */
import type { AdapterEvent, MachineOptions } from "../../client/machine/index.js";
import { createMachine, LOST_GRACE_MS, transition } from "../../client/machine/index.js";
import { Random } from "../sim/random.js";
import { ask, cancel, submitted, take, verified } from "./node-events.js";
import { answer, outcome, reopen, stream, summary } from "./service-events.js";
import { World } from "./world.js";

type Event = AdapterEvent<string>;

/** Random events of a sequence; the last ones of it follow from them. */
const EVENTS = 42;

export interface Sequence extends MachineOptions {
  name: string;
  steps: { atMs: number; event: unknown; effects: readonly unknown[] }[];
}

/** How often each kind of event comes, in shares. */
const KINDS: readonly (readonly [number, (world: World) => Event])[] = [
  [12, ask],
  [5, answer],
  [22, outcome],
  [4, summary],
  [11, stream],
  [9, reopen],
  [9, verified],
  [3, cancel],
  [6, take],
  [3, () => ({ kind: "tick" })],
];

/** Returns the sequence of this seed. */
export function generate(seed: number): Sequence {
  const random = new Random(seed);
  const options = optionsOf(random);
  const world = new World(random, options.endpoints);
  let state = createMachine<string>(options);
  const steps: Sequence["steps"] = [];
  const play = (event: Event) => {
    const step = transition(state, event, world.nowMs);
    ({ state } = step);
    for (const effect of step.effects) world.learn(effect);
    steps.push({ atMs: world.nowMs, event: encode(event), effects: step.effects });
  };
  for (let index = 0; index < 2 * options.endpoints.length; index++)
    if (random.chance(0.9)) play(reopen(world));
  const closingAt = random.chance(0.3) ? random.whole(15, EVENTS) : Infinity;
  const closedAt = closingAt + random.whole(2, 15);
  for (let index = 0; index < EVENTS; index++) {
    if (!world.mayGo) world.passTime();
    if (index === closingAt) play({ kind: "closing" });
    else if (index === closedAt) play({ kind: "closed" });
    else play(world.mayGo && random.chance(0.95) ? submitted(world) : draw(world));
  }
  for (const event of lastEvents(world)) play(event);
  return { name: `seed ${seed}`, ...options, steps };
}

function optionsOf(random: Random): MachineOptions {
  return {
    endpoints: ["A", "B", "C"].slice(0, random.pick([1, 2, 2, 2, 3])),
    hasVerifyHook: random.chance(0.4),
    ...(random.chance(0.3) && { resultsMax: random.whole(1, 4) }),
    ...(random.chance(0.3) && { bytesMax: random.whole(50, 120) }),
  };
}

function draw(world: World): Event {
  if (world.requests.length === 0) return world.random.chance(0.6) ? ask(world) : reopen(world);
  if (world.tries.length > 0 && world.random.chance(0.3)) return answer(world);
  let at = world.random.between(
    0,
    KINDS.reduce((sum, [share]) => sum + share, 0),
  );
  for (const [share, make] of KINDS) if ((at -= share) < 0) return make(world);
  return { kind: "tick" };
}

/** Lets every fence pass and every wait after it: nothing is left then. */
function* lastEvents(world: World): Iterable<Event> {
  const fences = world.requests.map(({ fenceAtMs, holdUntilMs }) =>
    Math.max(fenceAtMs, holdUntilMs),
  );
  world.nowMs = Math.max(world.nowMs, ...fences);
  yield { kind: "tick" };
  world.nowMs += LOST_GRACE_MS;
  yield { kind: "take", slot: world.slot };
}

/** Returns the event as JSON has it: bytes in hex. */
function encode(event: Event): unknown {
  if (event.kind !== "outcome") return event;
  return { ...event, participants: Buffer.from(event.participants).toString("hex") };
}
