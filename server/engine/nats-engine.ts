/**
 * The engine over NATS core. It has one connection to one of the servers, or none, and tries them in
 * turn for ever. Nothing is kept for a time without a connection: what is published then is lost, as
 * it would be stale later. The reasons are logged, and no error of the engine ends the process.
 */
import type { Msg, NatsConnection, Subscription } from "@nats-io/transport-node";
import type { Clock } from "../clock.js";
import { settledWithin } from "../clock.js";
import type { Logger } from "../log/log.js";
import { RareLog } from "../log/rare-log.js";
import { limits } from "../limits.js";
import { EngineError } from "./engine.js";
import type { Engine, EngineMessage, EngineStatus } from "./engine.js";
import { dial, DialError, loadNats } from "./nats-dial.js";
import type { Dialled, DialOptions, NatsPackage } from "./nats-dial.js";
import { checkMessage, checkPattern, isSubject, matches } from "./subject.js";

export interface NatsEngineOptions extends DialOptions {
  /** URLs such as `tls://nats-0.example:4222`, at least one. */
  readonly servers: readonly string[];
  /**
   * The inbox prefix of who publishes on the subject; undefined: nobody who asks there. An answer goes
   * nowhere else: a request names its reply subject itself, and the servers let it be any.
   */
  readonly inboxOf: (subject: string) => string | undefined;
}

export interface NatsEngineModules {
  readonly clock: Clock;
  readonly log: Logger;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
}

/** Wait before the servers are tried once more, in ms: doubled for each time that all failed. */
const WAIT_MS = { first: 20, random: 30, most: 1000 };
/** A connection that was shorter counts as one more failure, or a broken one would be a busy loop. */
const LASTING_MS = 1000;
/** A server that has taken nothing for so long at the end takes nothing more. */
const CLOSE_MS = 1000;

/** A connection in use. */
interface Live extends Dialled {
  /** Bytes published since the last time that the server said that it has taken all. */
  unsentBytes: number;
  isAsked: boolean;
  /** What ends each probe that waits for the server's answer. */
  readonly probes: Set<() => void>;
}

type Link =
  | { readonly kind: "down"; readonly detail: string }
  | { readonly kind: "up"; readonly detail: string; readonly live: Live }
  | { readonly kind: "closed"; readonly detail: string };

interface Hearer {
  readonly pattern: string;
  readonly hear: (message: EngineMessage) => void;
  /** In the connection in use. */
  subscription: Subscription | undefined;
}

/** Begins to connect; resolves once the package is loaded, whether or not a server is there. */
export async function openNatsEngine(
  options: NatsEngineOptions,
  modules: NatsEngineModules,
): Promise<Engine> {
  return new NatsEngine(options, modules, await loadNats());
}

class NatsEngine implements Engine {
  #link: Link = { kind: "down", detail: "connecting for the first time" };
  readonly #hearers = new Set<Hearer>();
  readonly #listeners: (() => void)[] = [];
  readonly #ended: Promise<void>;
  readonly #rareLog: RareLog;
  #wake = () => {};

  constructor(
    private readonly options: NatsEngineOptions,
    private readonly modules: NatsEngineModules,
    private readonly nats: NatsPackage,
  ) {
    this.#rareLog = new RareLog(modules);
    this.#ended = this.#connectForEver();
  }

  get status(): EngineStatus {
    const { detail } = this.#link;
    if (this.#link.kind !== "up") return { isUp: false, detail };
    return { isUp: true, detail, serverExpiresAtMs: this.#link.live.serverExpiresAtMs };
  }

  onStatus(changed: () => void): void {
    this.#listeners.push(changed);
  }

  publish(subject: string, bytes: Uint8Array): void {
    checkMessage(subject, bytes);
    const live = this.#live();
    if (live !== undefined && this.#hasRoom(live, subject, bytes)) {
      live.connection.publish(subject, bytes);
    }
  }

  async request(subject: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    checkMessage(subject, bytes);
    const live = this.#live();
    if (live === undefined || !this.#hasRoom(live, subject, bytes)) {
      throw new EngineError("down", `request on ${subject}: the engine is ${this.#link.detail}`);
    }
    try {
      const options = { timeout: Math.max(1, Math.ceil(timeoutMs)) };
      return plain((await live.connection.request(subject, bytes, options)).data);
    } catch (error) {
      throw this.#requestError(error, subject, timeoutMs);
    }
  }

  subscribe(subject: string, hear: (message: EngineMessage) => void): () => void {
    checkPattern(subject);
    const hearer: Hearer = { pattern: subject, hear, subscription: undefined };
    this.#hearers.add(hearer);
    const live = this.#live();
    if (live !== undefined) this.#hear(hearer, live);
    return () => {
      this.#hearers.delete(hearer);
      hearer.subscription?.unsubscribe();
    };
  }

  probe(): Promise<void> {
    const live = this.#live();
    if (live === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        live.probes.delete(end);
        resolve();
      };
      live.probes.add(end);
      live.connection.flush().then(end, end);
    });
  }

  async close(): Promise<void> {
    const { clock } = this.modules;
    const live = this.#live();
    this.#transition({ kind: "closed", detail: "closed" });
    this.#wake();
    if (live !== undefined) {
      await settledWithin(clock, CLOSE_MS, live.connection.flush());
      await live.connection.close();
    }
    await settledWithin(clock, CLOSE_MS, this.#ended);
  }

  /** The connection in use; undefined without one, and when it has just broken. */
  #live(): Live | undefined {
    const { kind } = this.#link;
    if (kind !== "up" || this.#link.live.connection.isClosed()) return undefined;
    return this.#link.live;
  }

  /**
   * Tries the servers in turn, from one that chance picks, so that processes spread over them. Ends
   * when the engine is closed.
   */
  async #connectForEver(): Promise<void> {
    const { servers } = this.options;
    const { clock, random, log } = this.modules;
    let at = Math.floor(random() * servers.length);
    for (let failures = 0; this.#link.kind !== "closed"; at++) {
      const server = servers[at % servers.length] ?? "";
      const dialled = await this.#dial(server);
      if (dialled !== undefined && this.#isOpen()) {
        const sinceMs = clock.nowMs();
        await this.#use(dialled, server);
        if (!this.#isOpen()) return;
        log.warn({ server, reason: this.#link.detail }, "connection to the engine lost");
        if (clock.nowMs() - sinceMs >= LASTING_MS) failures = 0;
      }
      await dialled?.connection.close();
      if (!this.#isOpen()) return;
      await this.#wait(failures);
      failures++;
    }
  }

  #isOpen(): boolean {
    return this.#link.kind !== "closed";
  }

  /** Undefined when there is no connection; the reason is in `status`. */
  async #dial(server: string): Promise<Dialled | undefined> {
    try {
      return await dial(this.nats, server, this.options);
    } catch (error) {
      if (!(error instanceof DialError)) throw error;
      if (!this.#isOpen()) return undefined;
      const detail = `not connected to ${server}: ${error.message}`;
      this.#transition({ kind: "down", detail });
      this.#rareLog.warn(`dial ${server}`, { server, reason: error.message }, "engine unreachable");
      return undefined;
    }
  }

  /** Resolves when the connection has ended. */
  async #use(dialled: Dialled, server: string): Promise<void> {
    const { connection } = dialled;
    const live: Live = { ...dialled, unsentBytes: 0, isAsked: false, probes: new Set() };
    for (const hearer of this.#hearers) this.#hear(hearer, live);
    void this.#watch(connection, server);
    this.modules.log.info({ server }, "connected to the engine");
    this.#transition({ kind: "up", detail: `connected to ${server}`, live });
    const error = await connection.closed();
    for (const end of [...live.probes]) end();
    for (const hearer of this.#hearers) hearer.subscription = undefined;
    if (!this.#isOpen()) return;
    const why = error === undefined ? "it ended the connection" : error.message;
    this.#transition({ kind: "down", detail: `not connected to ${server}: ${why}` });
  }

  /** Logs what the server complains about. */
  async #watch(connection: NatsConnection, server: string): Promise<void> {
    for await (const status of connection.status()) {
      if (status.type !== "error") continue;
      const { error } = status;
      if (error instanceof this.nats.errors.PermissionViolationError) {
        const { operation, subject } = error;
        const key = `${operation} ${subject}`;
        const text = `the engine's permissions refuse this ${operation}: add it to the role's`;
        this.#rareLog.warn(key, { server, subject }, text);
      } else {
        this.#rareLog.warn(error.message, { server, error: error.message }, "the engine complains");
      }
    }
  }

  #hear(hearer: Hearer, live: Live): void {
    hearer.subscription = live.connection.subscribe(hearer.pattern, {
      callback: (error, message) => {
        if (error !== null) return; // it ends the subscription, and `#watch` logs it
        try {
          hearer.hear(this.#message(message, live));
        } catch (reason) {
          // The package would swallow it, and then hear nothing more.
          queueMicrotask(() => {
            throw reason;
          });
        }
      },
    });
  }

  #message({ subject, data, reply = "" }: Msg, live: Live): EngineMessage {
    const isAnswered = reply !== "" && this.#mayAnswer(subject, reply);
    const answer = (bytes: Uint8Array) => {
      checkMessage(reply, bytes);
      if (!live.connection.isClosed() && this.#hasRoom(live, reply, bytes)) {
        live.connection.publish(reply, bytes);
      }
    };
    return { subject, bytes: plain(data), answer: isAnswered ? answer : undefined };
  }

  #mayAnswer(subject: string, reply: string): boolean {
    const inbox = this.options.inboxOf(subject);
    if (inbox !== undefined && isSubject(reply) && matches(`${inbox}.>`, reply)) return true;
    const text = "a request wants its answer elsewhere than in its sender's inbox: it gets none";
    this.#rareLog.warn(`reply ${subject}`, { subject }, text);
    return false;
  }

  /** False when the server is so slow that the message is dropped, as memory would fill up. */
  #hasRoom(live: Live, subject: string, { length }: Uint8Array): boolean {
    if (live.unsentBytes + length > limits.engineUnsentBytesMax) {
      const text = "the engine's server takes too little: messages are dropped";
      this.#rareLog.warn("slow", { subject, bytes: live.unsentBytes }, text);
      return false;
    }
    live.unsentBytes += length;
    if (!live.isAsked && live.unsentBytes > limits.enginePayloadBytesMax) this.#askTaken(live);
    return true;
  }

  /** Asks the server to say when it has taken all that was published by now. */
  #askTaken(live: Live): void {
    const bytes = live.unsentBytes;
    live.isAsked = true;
    const taken = () => {
      live.isAsked = false;
      live.unsentBytes -= bytes;
    };
    live.connection.flush().then(taken, () => {
      // The connection has broken, and with it ends what it counted.
    });
  }

  #requestError(error: unknown, subject: string, timeoutMs: number): unknown {
    const { errors } = this.nats;
    if (error instanceof errors.TimeoutError) {
      return new EngineError("timeout", `no answer on ${subject} in ${timeoutMs} ms`);
    }
    const cause = error instanceof errors.RequestError ? (error.cause ?? error) : error;
    if (cause instanceof errors.NoRespondersError) {
      return new EngineError("gone", `nobody listens on ${subject}`);
    }
    if (cause instanceof errors.PermissionViolationError) {
      return new EngineError("gone", `the engine's permissions refuse requests on ${subject}`);
    }
    return new EngineError("down", `request on ${subject}: the connection to the engine broke`);
  }

  #transition(link: Link): void {
    const before = this.#link;
    if (before.kind === "closed") return;
    this.#link = link;
    if (before.kind === link.kind && before.detail === link.detail) return;
    for (const changed of this.#listeners) changed();
  }

  /** Resolves after the wait that follows so many failures in a row, or when the engine is closed. */
  #wait(failures: number): Promise<void> {
    const { clock, random } = this.modules;
    const { first, random: spread, most } = WAIT_MS;
    const rounds = Math.floor(failures / this.options.servers.length);
    const ms = Math.min(most, (first + spread * random()) * 2 ** Math.min(rounds, 10));
    return new Promise((resolve) => {
      const cancel = clock.at(clock.nowMs() + ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

/** The same bytes as no `Buffer`, whose `slice` shares memory. */
function plain({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, length);
}
