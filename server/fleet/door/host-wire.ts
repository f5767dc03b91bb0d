/**
 * What a door sends to one lane host, and the decoding of what it gets: within the host's share of
 * messages, counted in bytes, and with a fault noted for what no correct host sends.
 */
import type { Clock } from "../../clock.js";
import type { Engine } from "../../engine/engine.js";
import { EngineError } from "../../engine/engine.js";
import { limits } from "../../limits.js";
import { encodeToHost, FleetMessageError, UnknownKindError } from "../wire/codec.js";
import type { DoorMetrics, HostFault } from "./door-metrics.js";
import type { HostFaults } from "./host-faults.js";
import type { Peer, ToHost } from "../wire/messages.js";
import type { subjects } from "../wire/subjects.js";

/** The engine says within so long that nobody listens, or never. */
const MISS_MS = 200;

/** What a door tells or asks of a host, without the runs that it is between. */
export type HostMessage = WithoutRuns<ToHost>;
type WithoutRuns<Message> = Message extends ToHost ? Omit<Message, "run" | "hostRun"> : never;

export interface HostWireModules {
  clock: Clock;
  engine: Engine;
  metrics: Pick<DoorMetrics, "sentBytes" | "receivedBytes">;
  faults: Pick<HostFaults, "add">;
  door: Peer;
  subjects: ReturnType<typeof subjects>;
}

/** A message, or why there is none. `version`: the other one that its sender speaks. */
export type Decoded<Message> =
  | { readonly kind: "message"; readonly message: Message }
  | { readonly kind: "none" }
  | { readonly kind: "version"; readonly version: number };

export class HostWire {
  /** Messages that the host may still send now, and since when that counts. */
  private share: { left: number; atMs: number };

  /** @param hostRun the run of the host that is meant; empty while it is unknown */
  constructor(
    readonly host: string,
    private readonly hostRun: () => string,
    private readonly modules: HostWireModules,
  ) {
    this.share = { left: limits.fleetMessagesPerSecond, atMs: modules.clock.nowMs() };
  }

  /** Sends the message and returns at once; it may get lost, as it does when the host is gone. */
  post(message: HostMessage): void {
    if (this.hostRun() === "") return;
    this.modules.engine.publish(this.subject, this.encoded(message));
  }

  /**
   * Sends the message, which the host does not answer. Resolves to whether it is known not to get
   * there: the engine is down, or nobody listens. Never rejects.
   */
  async postOrMiss(message: HostMessage): Promise<boolean> {
    // Down while it waits, which an `EngineError` says too, is another thing: the message may be there.
    if (!this.modules.engine.status.isUp) return true;
    try {
      await this.request(message, MISS_MS);
      return false;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      return error.kind === "gone";
    }
  }

  /** Resolves with the answer; rejects with `EngineError`. */
  async request(question: HostMessage, timeoutMs: number): Promise<Uint8Array> {
    if (this.hostRun() === "") throw new EngineError("gone", `lane host ${this.host} is gone`);
    const answer = await this.modules.engine.request(
      this.subject,
      this.encoded(question),
      timeoutMs,
    );
    this.modules.metrics.receivedBytes.inc(answer.length);
    return answer;
  }

  /** Decodes a message that was not asked for. */
  heard<Message>(bytes: Uint8Array, decode: (bytes: Uint8Array) => Message): Decoded<Message> {
    this.modules.metrics.receivedBytes.inc(bytes.length);
    return this.received(bytes, decode);
  }

  /** Answers a request of the host. */
  answer(answer: ((bytes: Uint8Array) => void) | undefined, bytes: Uint8Array): void {
    if (answer === undefined) return;
    this.modules.metrics.sentBytes.inc(bytes.length);
    answer(bytes);
  }

  /** Decodes what has come. Beyond the host's share it is not even read. */
  received<Message>(bytes: Uint8Array, decode: (bytes: Uint8Array) => Message): Decoded<Message> {
    if (!this.takesPart()) {
      this.fault("flood", `more than ${limits.fleetMessagesPerSecond} messages in a second`);
      return { kind: "none" };
    }
    try {
      return { kind: "message", message: decode(bytes) };
    } catch (error) {
      if (!(error instanceof FleetMessageError)) throw error;
      if (error instanceof UnknownKindError) return { kind: "none" };
      const { otherVersion: version } = error;
      if (version !== undefined) return { kind: "version", version };
      this.fault("garbage", error.message);
      return { kind: "none" };
    }
  }

  fault(fault: HostFault, detail: string): void {
    this.modules.faults.add(this.host, fault, detail, this.modules.clock.nowMs());
  }

  private get subject(): string {
    return this.modules.subjects.toHost(this.host, this.modules.door.id);
  }

  private encoded(message: HostMessage): Uint8Array {
    const hostRun = message.kind === "ping" ? "" : this.hostRun();
    const bytes = encodeToHost({ ...message, run: this.modules.door.run, hostRun });
    this.modules.metrics.sentBytes.inc(bytes.length);
    return bytes;
  }

  private takesPart(): boolean {
    const nowMs = this.modules.clock.nowMs();
    const filled = ((nowMs - this.share.atMs) * limits.fleetMessagesPerSecond) / 1000;
    const left = Math.min(limits.fleetMessagesPerSecond, this.share.left + filled);
    this.share = { left: left >= 1 ? left - 1 : left, atMs: nowMs };
    return left >= 1;
  }
}
