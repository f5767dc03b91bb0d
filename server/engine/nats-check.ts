/** Looks at one server of the engine for `doctor`: who it is, and what it allows this process. */
import type { NatsConnection } from "@nats-io/transport-node";
import { dial, DialError, loadNats } from "./nats-dial.js";
import type { DialOptions, NatsPackage } from "./nats-dial.js";

/** What a role needs. */
export interface Needs {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

export type ServerCheck =
  | { readonly kind: "unreachable"; readonly reason: string }
  | {
      readonly kind: "connected";
      /** Name and version, as the server says. */
      readonly server: string;
      readonly roundTripMs: number;
      /** Unix time in milliseconds at which the server's certificate expires; undefined without TLS. */
      readonly serverExpiresAtMs: number | undefined;
      /** What is needed and not allowed, such as `publish to lean.main.hosts.h1`. */
      readonly refused: readonly string[];
    };

const ROUND_TRIPS = 5;

/** Connects, and sends an empty message to each subject that the role publishes to. */
export async function checkServer(
  url: string,
  options: DialOptions,
  needs: Needs,
): Promise<ServerCheck> {
  const nats = await loadNats();
  try {
    const { connection, serverExpiresAtMs } = await dial(nats, url, options);
    try {
      const { info } = connection;
      return {
        kind: "connected",
        server: `${info?.server_name ?? "unnamed"}, nats-server ${info?.version ?? "unknown"}`,
        refused: await refusedBy(nats, connection, needs),
        roundTripMs: await roundTripMs(connection),
        serverExpiresAtMs,
      };
    } finally {
      await connection.close();
    }
  } catch (error) {
    const reason = error instanceof DialError ? error.message : "the server ended the connection";
    return { kind: "unreachable", reason };
  }
}

/** The shortest of some, in milliseconds. */
async function roundTripMs(connection: NatsConnection): Promise<number> {
  const all: number[] = [];
  for (let count = 0; count < ROUND_TRIPS; count++) {
    const startMs = performance.now();
    await connection.flush();
    all.push(performance.now() - startMs);
  }
  return Math.min(...all);
}

async function refusedBy(
  { errors }: NatsPackage,
  connection: NatsConnection,
  { publish, subscribe }: Needs,
): Promise<string[]> {
  const refused = new Set<string>();
  const watch = async () => {
    for await (const status of connection.status()) {
      if (status.type !== "error") continue;
      if (!(status.error instanceof errors.PermissionViolationError)) continue;
      const { operation, subject } = status.error;
      refused.add(`${operation === "publish" ? "publish" : "subscribe"} to ${subject}`);
    }
  };
  void watch();
  for (const subject of subscribe) connection.subscribe(subject, { callback: () => {} });
  for (const subject of publish) connection.publish(subject);
  // The server refuses before it answers the flush.
  await connection.flush();
  await new Promise((resolve) => setImmediate(resolve));
  return [...refused];
}
