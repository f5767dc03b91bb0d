/** The events of a generated sequence that come from the services and their connections. */
import type { AdapterEvent, AdapterSkipReason } from "../../client/machine/index.js";
import type { Endpoint, World } from "./world.js";

type Event = AdapterEvent<string>;

const REFUSALS: readonly AdapterSkipReason[] = [
  "draining",
  "draining",
  "draining",
  "no_prover",
  "no_prover",
  "predicted_miss",
  "overloaded",
  "in_flight",
  "invalid",
  "predicted_miss",
  "overloaded",
  "in_flight",
  "unreachable",
];

/** The answer to a try: most often the right one, from the endpoint of the last send. */
export function answer(world: World): Event {
  const { random, tries } = world;
  const request = world.someRequest();
  if (request !== null && random.chance(tries.length === 0 ? 0.5 : 0.06))
    return strayAnswer(world, request.requestId);
  if (tries.length === 0) return outcome(world);
  const { requestId, endpoint } = random.pick(tries);
  world.endTry(requestId);
  return answerOf(world, requestId, endpoint);
}

function strayAnswer(world: World, requestId: string): Event {
  return answerOf(world, requestId, world.random.pick(world.endpoints).name);
}

function answerOf(world: World, requestId: string, endpoint: string): Event {
  const { random } = world;
  const roll = random.next();
  if (roll < 0.24) return { kind: "failed", requestId, endpoint, isTimeout: random.chance(0.4) };
  if (roll < 0.5) return { kind: "refused", requestId, endpoint, reason: random.pick(REFUSALS) };
  world.endpoint(endpoint).held.add(requestId);
  const own = world.requests.find((each) => each.requestId === requestId)?.fenceAtMs ?? 0;
  const fenceAtMs = random.chance(0.8) ? own : random.whole(world.nowMs, own + 500);
  return { kind: "accepted", requestId, endpoint, serviceId: serviceId(world), fenceAtMs };
}

function serviceId({ random }: World): string {
  return random.chance(0.88) ? "s1" : "s2";
}

/** A stream opens, breaks or has a status. */
export function stream(world: World): Event {
  const { random } = world;
  const endpoint = random.pick(world.endpoints);
  if (endpoint.opening !== null) return opened(world, endpoint, endpoint.opening);
  if (!endpoint.isUp) return { kind: "opening", endpoint: endpoint.name };
  if (random.chance(0.4)) return { kind: "status", endpoint: endpoint.name, state: state(world) };
  return disconnected(world, endpoint);
}

/** A stream that is about to open, or that was never open, comes first. */
export function reopen(world: World): Event {
  const endpoint = world.endpoints.find(({ isUp }) => !isUp);
  if (endpoint === undefined) return stream(world);
  if (endpoint.opening === null) return { kind: "opening", endpoint: endpoint.name };
  return opened(world, endpoint, endpoint.opening);
}

function disconnected(world: World, endpoint: Endpoint): Event {
  endpoint.isUp = false;
  endpoint.opening = null;
  return { kind: "disconnected", endpoint: endpoint.name, isSilent: world.random.chance(0.4) };
}

function opened(world: World, endpoint: Endpoint, named: readonly { requestId: string }[]): Event {
  const { random } = world;
  if (random.chance(0.15)) return disconnected(world, endpoint);
  endpoint.isUp = true;
  endpoint.opening = null;
  const hasForgotten = random.chance(0.3);
  const awaited = named.map(({ requestId }) => {
    const isKnown = endpoint.held.has(requestId) ? !hasForgotten : random.chance(0.3);
    return { requestId, isKnown };
  });
  const answers = random.chance(0.1) ? awaited.slice(1) : awaited;
  const id = hasForgotten && random.chance(0.4) ? "s2" : serviceId(world);
  const rest = { serviceId: id, state: state(world), awaited: answers };
  return { kind: "opened", endpoint: endpoint.name, ...rest };
}

function state({ random }: World) {
  return random.pick(["ready", "ready", "ready", "ready", "no_prover", "draining"] as const);
}

/** An outcome, most often of a request that the service holds. */
export function outcome(world: World): Event {
  const { random } = world;
  const request = world.someRequest();
  if (request === null) return { kind: "tick" };
  const { requestId, groups } = request;
  const groupIndex = random.whole(0, random.chance(0.04) ? groups + 1 : groups - 1);
  const endpoint = holderOf(world, requestId);
  const isProof = random.chance(0.7);
  return {
    kind: "outcome",
    endpoint,
    requestId,
    groupIndex,
    message: random.chance(0.8) ? "a0" : "a1",
    isProof,
    isLate: isProof && random.chance(0.15),
    isErased: isProof && random.chance(0.05),
    isDrained: !isProof && random.chance(0.25),
    participants: new Uint8Array(isProof ? participants(world) : []),
    payload: `${requestId}.${groupIndex}.${endpoint}`,
  };
}

function participants({ random }: World): number[] {
  const first = random.whole(1, 15);
  return random.chance(0.8) ? [first] : [first, random.whole(0, 3)];
}

export function summary(world: World): Event {
  const request = world.someRequest();
  if (request === null) return { kind: "tick" };
  const { requestId } = request;
  const endpoint = holderOf(world, requestId);
  return { kind: "summary", endpoint, requestId, durationMs: world.random.whole(1, 3000) };
}

function holderOf({ random, endpoints }: World, requestId: string): string {
  const holders = endpoints.filter(({ held }) => held.has(requestId));
  return random.pick(holders.length > 0 && random.chance(0.85) ? holders : endpoints).name;
}
