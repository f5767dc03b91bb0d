/**
 * The messaging engine between doors and lane hosts, behind one interface: NATS in the service
 * (`nats-engine.ts`), and an engine in memory for tests and the simulation (`memory-engine.ts`). A
 * message may be lost, doubled, delayed or reordered; nothing is stored.
 */

/** A message of the engine: where it was published, its bytes, and how to answer it. */
export interface EngineMessage {
  readonly subject: string;
  readonly bytes: Uint8Array;
  /**
   * Answers a request. Undefined for a message that wants no answer, or wants it elsewhere than in
   * its sender's inbox.
   */
  readonly answer: ((bytes: Uint8Array) => void) | undefined;
}

/**
 * Why a request has no answer. `gone`: nobody listens on the subject. `timeout`: no answer came in
 * time. `down`: the engine is not connected.
 */
export type EngineErrorKind = "gone" | "timeout" | "down";

/** Thrown by a request that has no answer. */
export class EngineError extends Error {
  override readonly name = "EngineError";
  constructor(
    readonly kind: EngineErrorKind,
    message: string,
  ) {
    super(message);
  }
}

/** Whether the engine is connected. */
export interface EngineStatus {
  readonly isUp: boolean;
  /** To which server the engine is connected, or why it is not, for people. */
  readonly detail: string;
  /**
   * Unix time in milliseconds at which the certificate expires that the server has shown; undefined
   * without a connection or without TLS.
   */
  readonly serverExpiresAtMs?: number | undefined;
}

/**
 * One connection to the engine. It is up or down, connects by itself again and again, and never
 * ends the process. A connection never hears what it published itself.
 */
export interface Engine {
  /**
   * Publishes and returns at once; lost while the engine is down. The bytes must not change later.
   * Throws RangeError when they exceed `limits.enginePayloadBytesMax`.
   */
  publish(subject: string, bytes: Uint8Array): void;
  /**
   * Resolves with the first answer; rejects with EngineError, also when the connection breaks
   * meanwhile. Throws RangeError as `publish` does.
   */
  request(subject: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  /**
   * Calls `hear` with every message on the subject, of which a token may be `*` and the last `>`;
   * returns what ends it. `hear` must not throw. Holds over a broken connection: it begins again
   * with the next one.
   */
  subscribe(subject: string, hear: (message: EngineMessage) => void): () => void;
  /**
   * Asks the server whether it is there: resolves once it has answered, or the connection has ended.
   * One that is frozen answers when it goes on. Never rejects.
   */
  probe(): Promise<void>;
  readonly status: EngineStatus;
  /** Calls `changed` at each change of `status`. */
  onStatus(changed: () => void): void;
  /**
   * Ends the connection once what was published is sent, or after a second; that may take another one.
   * Idempotent.
   */
  close(): Promise<void>;
}
