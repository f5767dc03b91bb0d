/** What an attack on a listener is, and what it does with its connections. */
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { PREFACE, RawConnection, settings } from "../../harness/raw-http2.js";
import type { ListenerName } from "./steady-client.js";

/** Bytes that a connection sends by way of hello. */
export const HELLO = Buffer.concat([PREFACE, settings()]);

/** An attacker is another host: who shares its address waits a moment for its sins. */
const ELSEWHERE = process.platform === "linux" ? "127.0.0.2" : undefined;

export interface Attack {
  name: string;
  on: readonly ListenerName[];
  /** The listener ends the attacker's connections at once, rather than outlast them. */
  isCut: boolean;
  run(attacker: Attacker): Promise<void>;
}

export class Attacker {
  readonly connections: RawConnection[] = [];

  constructor(
    readonly address: string,
    /** Aborted when the time is over. */
    readonly signal: AbortSignal,
  ) {}

  async open(start: Uint8Array = HELLO, isMute = false): Promise<RawConnection> {
    const connection = await RawConnection.open(this.address, start, isMute, ELSEWHERE);
    this.connections.push(connection);
    return connection;
  }

  openMany(count: number, start?: Uint8Array): Promise<RawConnection[]> {
    return Promise.all(Array.from({ length: count }, () => this.open(start)));
  }

  /** Resolves when the time is over. */
  async over(): Promise<void> {
    if (!this.signal.aborted) await once(this.signal, "abort");
  }

  /** Sends what `make` gives, over and over, on a new connection when one is cut. */
  async flood(
    make: (connection: RawConnection) => Uint8Array,
    options: { start?: Uint8Array; everyMs?: number; isMute?: boolean } = {},
  ): Promise<void> {
    const { start, everyMs = 1, isMute } = options;
    const over = this.over();
    while (!this.signal.aborted) {
      const connection = await this.open(start, isMute);
      while (connection.isOpen && !this.signal.aborted) {
        await Promise.race([connection.write(make(connection)), over]);
        // Both ends have their turn: what is measured is the server, not this loop.
        await pause(everyMs);
      }
    }
  }

  /** Sends a little every now and then on each connection, until the time is over. */
  async drip(
    connections: readonly RawConnection[],
    make: (connection: RawConnection) => Uint8Array,
    everyMs = 100,
  ): Promise<void> {
    while (!this.signal.aborted) {
      for (const connection of connections) void connection.write(make(connection));
      await pause(everyMs);
    }
  }

  /** The listener has ended one of the connections. */
  get isCut(): boolean {
    return this.connections.some(({ isOpen }) => !isOpen);
  }

  /** How the connections ended, by reason, with how often. */
  endings(): string {
    const counts = new Map<string, number>();
    for (const { ending = "open" } of this.connections) {
      counts.set(ending, (counts.get(ending) ?? 0) + 1);
    }
    return [...counts].map(([ending, count]) => `${count} ${ending}`).join(", ");
  }

  close(): void {
    for (const connection of this.connections) connection.close();
  }
}
