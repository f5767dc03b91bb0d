/** What a person, or a script, does to a fleet's processes: `kill door-0`. Pure but for `act`. */
import type { Fleet } from "../harness/processes/fleet-processes.js";

const VERBS = ["kill", "stop", "freeze", "thaw", "start"] as const;
export type Verb = (typeof VERBS)[number];

export interface Act {
  verb: Verb;
  /** `door-0`, `host-1` or `nats-2`. */
  target: string;
}

/** Reads an act, or says what is wrong with it. */
export function readAct(text: string): Act | string {
  const [verb = "", target = "", ...rest] = text.trim().split(/\s+/);
  const known = VERBS.find((each) => each === verb);
  if (known === undefined) return `"${verb}" is no act: expected ${VERBS.join(", ")}`;
  if (!/^(door|host|nats)-\d$/.test(target) || rest.length > 0) {
    return `"${[target, ...rest].join(" ")}" is no part: expected door-0, host-1 or nats-2`;
  }
  return { verb: known, target };
}

/** Reads `3 kill door-0; 6 start door-0`: acts by the slot in which they are done. */
export function readScript(text: string): Map<number, Act[]> | string {
  const acts = new Map<number, Act[]>();
  for (const line of text.split(";").filter((each) => each.trim() !== "")) {
    const [slot = "", ...words] = line.trim().split(/\s+/);
    if (!/^\d+$/.test(slot)) return `"${line.trim()}": expected a slot, then an act`;
    const act = readAct(words.join(" "));
    if (typeof act === "string") return act;
    acts.set(Number(slot), [...(acts.get(Number(slot)) ?? []), act]);
  }
  return acts;
}

type Parts = Pick<Fleet, "member" | "nats">;

/** Does it; resolves to why it cannot be done, or to undefined. */
export async function act(fleet: Parts, { verb, target }: Act): Promise<string | undefined> {
  try {
    return await tryTo(fleet, { verb, target });
  } catch (error) {
    return `${target}: ${verb} failed: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function tryTo(fleet: Parts, { verb, target }: Act): Promise<string | undefined> {
  if (target.startsWith("nats-")) return actOnServer(fleet, verb, Number(target.slice(5)));
  const member = fleet.member(target);
  if (member === undefined) return `there is no ${target}`;
  const { process } = member;
  if (verb === "start") {
    if (process.isAlive) return `${target} runs already`;
    member.restart();
  } else if (!process.isAlive) {
    return `${target} has ended: start it`;
  } else if (verb === "kill") await process.kill();
  else if (verb === "stop") process.signal("SIGTERM");
  else process.signal(verb === "freeze" ? "SIGSTOP" : "SIGCONT");
  return undefined;
}

async function actOnServer({ nats }: Parts, verb: Verb, at: number): Promise<string | undefined> {
  if (at >= nats.urls.length) return `there is no nats-${at}`;
  const state = nats.state(at);
  if (verb === "start" && state !== "ended") return `nats-${at} runs already`;
  if (verb !== "start" && state === "ended") return `nats-${at} has ended: start it`;
  if (verb === "stop" && state === "frozen") return `nats-${at} is frozen: thaw it, or kill it`;
  switch (verb) {
    case "kill":
      await nats.kill(at);
      return undefined;
    case "stop":
      await nats.stop(at);
      return undefined;
    case "start":
      await nats.start(at);
      return undefined;
    case "freeze":
      nats.freeze(at);
      return undefined;
    case "thaw":
      nats.thaw(at);
      return undefined;
  }
}
