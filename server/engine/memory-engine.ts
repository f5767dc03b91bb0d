/**
 * The engine inside one process, for tests and the simulation. A `MemoryBroker` stands for all of
 * the engine's servers; each `connect` is a connection of its own, as another process would have.
 * What happens to a message on its way is the caller's to decide: see `Weather`.
 */
import type { Clock } from "../clock.js";
import { assertNever } from "../errors.js";
import { EngineError } from "./engine.js";
import type { Engine, EngineMessage, EngineStatus } from "./engine.js";
import { checkMessage, checkPattern, matches } from "./subject.js";

/** One message on its way from one connection to another. */
export interface Passage {
  /** Names of the connections, as given to `connect`. */
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly bytes: Uint8Array;
}

/**
 * Decides about each message: the delay in milliseconds of each copy that arrives. `[]`: lost.
 * `[0]`: delivered, `[0, 0]`: doubled, `[7]`: 7 ms late, and so behind later ones.
 */
export type Weather = (passage: Passage) => readonly number[];

/** The surroundings of one connection: those of its process. */
export interface MemoryEngineModules {
  /** For the time-outs of its requests. */
  readonly clock: Clock;
  /** Calls `deliver` soon, each in its turn: a process that is frozen keeps them until it goes on. */
  readonly post: (deliver: () => void) => void;
}

export interface MemoryBrokerModules {
  /** For messages that are delayed. */
  readonly clock: Clock;
  /** Default: every message is delivered. */
  readonly weather?: Weather;
}

interface Subscription {
  readonly pattern: string;
  readonly hear: (message: EngineMessage) => void;
}

interface Waiting {
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: EngineError) => void;
}

/** How a connection is: cut off, the servers do not know of it, and it knows. */
type Link =
  | { readonly kind: "connected" }
  | { readonly kind: "cut"; readonly detail: string }
  | { readonly kind: "closed" };

export class MemoryBroker {
  readonly #connections = new Set<MemoryEngine>();
  readonly #clock: Clock;
  readonly #weather: Weather;
  /** What waits while the servers stand still; undefined while they do not. */
  #frozen: (() => void)[] | undefined;

  constructor({ clock, weather = () => [0] }: MemoryBrokerModules) {
    this.#clock = clock;
    this.#weather = weather;
  }

  /**
   * A new connection, up at once.
   * @param name stands for it in `Passage`
   * @param modules default: the clock of the broker, and microtasks
   */
  connect(name: string, modules: Partial<MemoryEngineModules> = {}): MemoryEngine {
    const engine: MemoryEngine = new MemoryEngine(
      name,
      { clock: this.#clock, post: queueMicrotask, ...modules },
      {
        carry: (passage, deliver) => this.#carry(passage, deliver),
        pass: (deliver) => this.#pass(deliver),
        hearers: (subject) => this.#hearers(engine, subject),
        leave: () => void this.#connections.delete(engine),
      },
    );
    this.#connections.add(engine);
    return engine;
  }

  /** The servers stand still, as after SIGSTOP: nothing arrives, and no connection breaks. */
  freeze(): void {
    this.#frozen ??= [];
  }

  /** They go on: all that was sent meanwhile arrives. */
  thaw(): void {
    const waiting = this.#frozen ?? [];
    this.#frozen = undefined;
    for (const deliver of waiting) deliver();
  }

  /** The other connections that hear the subject now. */
  #hearers(publisher: MemoryEngine, subject: string): MemoryEngine[] {
    return [...this.#connections].filter((each) => each !== publisher && each.hears(subject));
  }

  #carry(passage: Passage, deliver: () => void): void {
    for (const delayMs of this.#weather(passage)) {
      if (delayMs === 0) this.#pass(deliver);
      else this.#clock.at(this.#clock.nowMs() + delayMs, () => this.#pass(deliver));
    }
  }

  #pass(deliver: () => void): void {
    if (this.#frozen === undefined) deliver();
    else this.#frozen.push(deliver);
  }
}

/** What a connection uses of its broker. */
interface Wire {
  readonly carry: (passage: Passage, deliver: () => void) => void;
  /** Delivers at once, or when the servers go on. */
  readonly pass: (deliver: () => void) => void;
  readonly hearers: (subject: string) => MemoryEngine[];
  readonly leave: () => void;
}

/** One connection to a `MemoryBroker`. */
export class MemoryEngine implements Engine {
  #link: Link = { kind: "connected" };
  readonly #subscriptions = new Set<Subscription>();
  readonly #waiting = new Set<Waiting>();
  readonly #listeners: (() => void)[] = [];

  constructor(
    readonly name: string,
    private readonly modules: MemoryEngineModules,
    private readonly wire: Wire,
  ) {}

  get status(): EngineStatus {
    switch (this.#link.kind) {
      case "connected":
        return { isUp: true, detail: "connected in this process" };
      case "cut":
        return { isUp: false, detail: this.#link.detail };
      case "closed":
        return { isUp: false, detail: "closed" };
      default:
        return assertNever(this.#link);
    }
  }

  onStatus(changed: () => void): void {
    this.#listeners.push(changed);
  }

  publish(subject: string, bytes: Uint8Array): void {
    checkMessage(subject, bytes);
    if (!this.status.isUp) return;
    for (const hearer of this.wire.hearers(subject)) {
      this.#send(hearer, { subject, bytes, answer: undefined });
    }
  }

  async request(subject: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    checkMessage(subject, bytes);
    const { isUp, detail } = this.status;
    if (!isUp) throw new EngineError("down", `request on ${subject}: the engine is ${detail}`);
    const hearers = this.wire.hearers(subject);
    return new Promise((resolve, reject) => {
      const { clock } = this.modules;
      const error = new EngineError("timeout", `no answer on ${subject} in ${timeoutMs} ms`);
      const cancel = clock.at(clock.nowMs() + timeoutMs, () => waiting.reject(error));
      const end = () => {
        this.#waiting.delete(waiting);
        cancel();
      };
      const waiting: Waiting = {
        resolve: (answer) => (end(), resolve(answer)),
        reject: (cause) => (end(), reject(cause)),
      };
      this.#waiting.add(waiting);
      const gone = new EngineError("gone", `nobody listens on ${subject}`);
      if (hearers.length === 0) this.wire.pass(() => this.#reject(waiting, gone));
      for (const hearer of hearers) {
        const answer = (reply: Uint8Array) => hearer.#answer(this, waiting, reply);
        this.#send(hearer, { subject, bytes, answer });
      }
    });
  }

  probe(): Promise<void> {
    return new Promise((resolve) => this.wire.pass(() => this.modules.post(resolve)));
  }

  subscribe(subject: string, hear: (message: EngineMessage) => void): () => void {
    checkPattern(subject);
    const subscription = { pattern: subject, hear };
    this.#subscriptions.add(subscription);
    return () => void this.#subscriptions.delete(subscription);
  }

  /** Whether the servers would send a message on the subject to this connection. */
  hears(subject: string): boolean {
    return (
      this.status.isUp && [...this.#subscriptions].some((each) => matches(each.pattern, subject))
    );
  }

  /** Breaks the connection: `status` is down, and requests that wait are rejected with `down`. */
  cut(detail = "cut off"): void {
    if (this.#link.kind !== "closed") this.#transition({ kind: "cut", detail });
  }

  /** Connects again after `cut`. */
  restore(): void {
    if (this.#link.kind === "cut") this.#transition({ kind: "connected" });
  }

  /** Ends the connection; also as the death of its process would. */
  async close(): Promise<void> {
    if (this.#link.kind === "closed") return;
    this.wire.leave();
    this.#subscriptions.clear();
    this.#transition({ kind: "closed" });
  }

  #reject(waiting: Waiting, error: EngineError): void {
    if (this.#waiting.has(waiting)) waiting.reject(error);
  }

  #transition(link: Link): void {
    this.#link = link;
    if (link.kind !== "connected") {
      const error = new EngineError("down", `the engine is ${this.status.detail}`);
      for (const waiting of [...this.#waiting]) waiting.reject(error);
    }
    for (const changed of this.#listeners) changed();
  }

  #send(hearer: MemoryEngine, { subject, bytes, answer }: EngineMessage): void {
    const copy = bytes.slice();
    const passage = { from: this.name, to: hearer.name, subject, bytes: copy };
    const hear = () => hearer.#hear({ subject, bytes: copy, answer });
    this.wire.carry(passage, () => hearer.modules.post(hear));
  }

  #hear(message: EngineMessage): void {
    if (!this.status.isUp) return;
    for (const { pattern, hear } of [...this.#subscriptions]) {
      if (matches(pattern, message.subject)) hear(message);
    }
  }

  #answer(asker: MemoryEngine, waiting: Waiting, bytes: Uint8Array): void {
    const subject = `answer.${asker.name}`;
    checkMessage(subject, bytes);
    if (!this.status.isUp) return;
    const copy = bytes.slice();
    const passage = { from: this.name, to: asker.name, subject, bytes: copy };
    const resolve = () => {
      if (asker.#waiting.has(waiting)) waiting.resolve(copy);
    };
    this.wire.carry(passage, () => asker.modules.post(resolve));
  }
}
