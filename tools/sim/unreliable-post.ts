/**
 * Carries messages between scheduler and lanes as the weather says: lost, delayed, doubled or
 * overtaken. A copy arrives, as from another machine, so a message that is not plain data throws.
 */
import type { Post } from "../../server/lane/lane-messages.js";
import type { Random } from "./random.js";
import type { VirtualClock } from "./virtual-clock.js";
import type { Weather } from "./weather.js";

/** Messages arrive at once, and once. */
export function isCalm({ loss, doubling, delayMs }: Weather): boolean {
  return loss === 0 && doubling === 0 && delayMs === 0;
}

export function unreliablePost(weather: Weather, random: Random, clock: VirtualClock): Post {
  return (message, receive) => {
    const copy = structuredClone(message);
    const deliver = () => receive(copy);
    if (isCalm(weather)) return queueMicrotask(deliver);
    const send = () => clock.at(clock.nowMs() + random.between(0, weather.delayMs), deliver);
    if (!random.chance(weather.loss)) send();
    if (random.chance(weather.doubling)) send();
  };
}
