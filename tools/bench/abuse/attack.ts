/** An attack on a listener, and the attacker's connections. */
import { once } from "node:events";
import { setTimeout as pause } from "node:timers/promises";
import { PREFACE, RawConnection, settings } from "../../harness/wire/raw-http2.js";
import type { ListenerName } from "./steady-client.js";

/** The first bytes of an HTTP/2 client: preface and settings. */
export const HELLO = Buffer.concat([PREFACE, settings()]);

/**
 * Source address of the attacks on Linux. The service delays new connections from an address that
 * misbehaved, so the well-behaved client must have another one.
 */
const ELSEWHERE = process.platform === "linux" ? "127.0.0.2" : undefined;

export interface Attack {
  name: string;
  /** The listeners to attack. */
  on: readonly ListenerName[];
  /** True: the listener must close the attacker's connections. False: it may leave them open. */
  isCut: boolean;
  /** Attacks until the attacker's signal aborts. */
  run(attacker: Attacker): Promise<void>;
}

export class Attacker {
  readonly connections: RawConnection[] = [];

  constructor(
    readonly address: string,
    /** Aborts when the attack is to end. */
    readonly signal: AbortSignal,
  ) {}

  /** Opens a connection that sends `start`; a mute one does not answer SETTINGS and PING. */
  async open(start: Uint8Array = HELLO, isMute = false): Promise<RawConnection> {
    const connection = await RawConnection.open(this.address, start, isMute, ELSEWHERE);
    this.connections.push(connection);
    return connection;
  }

  openMany(count: number, start?: Uint8Array): Promise<RawConnection[]> {
    return Promise.all(Array.from({ length: count }, () => this.open(start)));
  }

  /** Resolves when the attack is to end. */
  async over(): Promise<void> {
    if (!this.signal.aborted) await once(this.signal, "abort");
  }

  /** Sends what `make` returns, again and again, on a new connection when one is closed. */
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
        // A pause, so that the attacker does not take the processor time that the server needs.
        await pause(everyMs);
      }
    }
  }

  /** Sends what `make` returns on each connection every `everyMs`, until the attack is to end. */
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

  /** True when the listener has closed one of the connections, or sent it a GOAWAY. */
  get isCut(): boolean {
    return this.connections.some(({ isOpen }) => !isOpen);
  }

  /** How the connections ended: each reason with its count, for example `2 open, 1 closed`. */
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
