/** The events of a generated sequence that come from the node. */
import type { AdapterEvent, AdapterPriority, Gates } from "../../client/machine/index.js";
import type { Random } from "../sim/random.js";
import { outcome } from "./service-events.js";
import type { World } from "./world.js";
import { SLOT_MS } from "./world.js";

type Event = AdapterEvent<string>;

export function ask(world: World): Event {
  const { random } = world;
  return {
    kind: "ask",
    slot: toldSlot(world),
    gates: gates(random),
    priority: priority(random),
    mayReplace: random.chance(0.3),
  };
}

function gates(random: Random): Gates {
  return {
    isAggregator: !random.chance(0.04),
    hasState: !random.chance(0.04),
    ...(random.chance(0.4) && { isSynced: !random.chance(0.1) }),
    ...(random.chance(0.4) && { isPaused: random.chance(0.1) }),
  };
}

function priority(random: Random): AdapterPriority {
  return random.pick(["aggregation", "aggregation", "backlog", "proposal"]);
}

export function submitted(world: World): Event {
  const { random, nowMs } = world;
  world.mayGo = false;
  const isDefault = random.chance(0.6);
  const submission = {
    requestId: `r${world.requests.length + 1}`,
    priority: priority(random),
    slot: world.slot,
    groups: random.whole(1, 6),
    bytes: random.whole(10, 60),
    deadlineAtMs: nowMs + random.pick([0, 120, 750, 750, 2500, 2500, 6000]),
    holdUntilMs: random.chance(0.2) ? nowMs + random.whole(0, 1500) : 0,
    fenceAtMs: isDefault
      ? (world.slot + 2) * SLOT_MS
      : nowMs + random.pick([0, 400, 2000, 4000, 8000, 16_000, 16_000]),
    fenceSlot: isDefault ? world.slot + 2 : null,
  };
  world.add(submission);
  return { kind: "submitted", submission };
}

/** Most often of everything. */
export function take(world: World): Event {
  const { random } = world;
  const request = random.chance(0.2) ? world.someRequest() : null;
  return {
    kind: "take",
    slot: toldSlot(world),
    ...(request !== null && { requestIds: [request.requestId] }),
    ...(random.chance(0.2) && { max: random.whole(1, 3) }),
  };
}

/** The node's slot: its clock may be ahead or behind. */
function toldSlot({ random, slot }: World): number {
  return slot + random.pick([0, 0, 0, 0, 0, 0, 0, 0, 1, 2, -1]);
}

export function verified(world: World): Event {
  const { random, verifying } = world;
  const at = random.whole(0, Math.max(0, verifying.length - 1));
  const [ref] = verifying.splice(at, random.chance(0.95) ? 1 : 0);
  if (ref === undefined) return outcome(world);
  return { kind: "verified", ref, isValid: random.chance(0.8) };
}

export function cancel(world: World): Event {
  const { random } = world;
  const request = world.someRequest();
  if (request === null) return { kind: "tick" };
  const { requestId } = request;
  if (random.chance(0.3)) return { kind: "cancel", requestId, groups: null };
  const groups = Array.from({ length: random.whole(1, 2) }, () => random.whole(0, 4));
  return { kind: "cancel", requestId, groups };
}
