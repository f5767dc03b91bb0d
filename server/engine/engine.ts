/**
 * The messaging engine between doors and lane hosts, behind one interface: NATS in the service, and
 * an engine in memory for tests and the simulation. A message may be lost, doubled, delayed or
 * reordered; nothing is stored.
 */

export interface EngineMessage {
  /** Where it was published. */
  readonly subject: string;
  readonly bytes: Uint8Array;
  /** Answers a request; undefined for a message that wants no answer. */
  readonly answer: ((bytes: Uint8Array) => void) | undefined;
}

/** `gone`: nobody listens on the subject. `timeout`: no answer in time. `down`: not connected. */
export type EngineErrorKind = "gone" | "timeout" | "down";

export class EngineError extends Error {
  constructor(
    readonly kind: EngineErrorKind,
    message: string,
  ) {
    super(message);
  }
}

export interface EngineStatus {
  readonly isUp: boolean;
  /** Which server, or why there is none, for people. */
  readonly detail: string;
}

export interface Engine {
  /** Publishes and returns at once. Lost while the engine is down. At most `payloadBytesMax`. */
  publish(subject: string, bytes: Uint8Array): void;
  /** Resolves with the first answer; rejects with `EngineError`. */
  request(subject: string, bytes: Uint8Array, timeoutMs: number): Promise<Uint8Array>;
  /**
   * Calls `hear`, which must not throw, with every message on the subject. A token of the subject may
   * be `*`, and the last one `>`.
   *
   * @returns what ends the subscription
   */
  subscribe(subject: string, hear: (message: EngineMessage) => void): () => void;
  readonly status: EngineStatus;
  /** Calls `changed` at each change of `status`. */
  onStatus(changed: () => void): void;
  /** Sends what was published, and ends the connection. Idempotent. */
  close(): Promise<void>;
}
