/**
 * What a generated sequence has happened so far, as its events need it: the streams, the tries
 * without an answer, the requests and the verifications. It learns from the machine's effects.
 */
import type { AdapterEffect, GroupRef, Submission } from "../../client/machine/index.js";
import type { Random } from "../sim/random.js";

export const SLOT_MS = 4000;
const START_MS = 10 * SLOT_MS;

export interface Awaited {
  requestId: string;
}

export interface Endpoint {
  readonly name: string;
  isUp: boolean;
  /** What the stream's request names, while the stream is about to open. */
  opening: readonly Awaited[] | null;
  /** The requests that the service there holds, as far as it has said. */
  readonly held: Set<string>;
}

export class World {
  nowMs = START_MS;
  readonly endpoints: readonly Endpoint[];
  readonly requests: Submission[] = [];
  /** Those of which no `forget` has come. */
  private live: readonly Submission[] = [];
  readonly tries: { requestId: string; endpoint: string }[] = [];
  readonly verifying: GroupRef[] = [];
  /** The priority of an `ask` whose answer was `go`, until its submission. */
  mayGo = false;

  constructor(
    readonly random: Random,
    names: readonly string[],
  ) {
    this.endpoints = names.map((name) => ({
      name,
      isUp: false,
      opening: null,
      held: new Set<string>(),
    }));
  }

  get slot(): number {
    return Math.floor(this.nowMs / SLOT_MS);
  }

  /** Lets some time pass: most often little, now and then more than a slot. */
  passTime(): void {
    const { random } = this;
    const [low, high] = random.pick<readonly [number, number]>([
      ...Array.from({ length: 20 }, () => [0, 40] as const),
      ...Array.from({ length: 3 }, () => [40, 200] as const),
      [200, 1200],
      [200, 1200],
      [1200, 4000],
    ]);
    this.nowMs += random.whole(low, high);
  }

  endpoint(name: string): Endpoint {
    const found = this.endpoints.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no endpoint ${name}`);
    return found;
  }

  /** Notes a submission. */
  add(submission: Submission): void {
    this.requests.push(submission);
    this.live = [...this.live, submission];
  }

  /** Returns a request, most often one that is not over. Null: there is none yet. */
  someRequest(): Submission | null {
    if (this.requests.length === 0) return null;
    const isLive = this.live.length > 0 && this.random.chance(0.95);
    return this.random.pick(isLive ? this.live : this.requests);
  }

  learn(effect: AdapterEffect<string>): void {
    switch (effect.kind) {
      case "go":
        this.mayGo = true;
        return;
      case "send":
        this.endTry(effect.requestId);
        this.tries.push({ requestId: effect.requestId, endpoint: effect.endpoint });
        return;
      case "skip":
        if (effect.requestId !== null) this.endTry(effect.requestId);
        return;
      case "forget":
        this.live = this.live.filter(({ requestId }) => requestId !== effect.requestId);
        return;
      case "verify":
        this.verifying.push(effect.ref);
        return;
      case "await":
        this.endpoint(effect.endpoint).opening = effect.requests;
        return;
      default:
        return;
    }
  }

  endTry(requestId: string): void {
    const at = this.tries.findIndex((each) => each.requestId === requestId);
    if (at !== -1) this.tries.splice(at, 1);
  }
}
