/**
 * Connections that never finish what they start, each at another point. A listener must close all.
 */
import { pathOf } from "../../harness/wire/raw-grpc.js";
import { callHeaders, headersFrame, PREFACE, RawConnection } from "../../harness/wire/raw-http2.js";
import { HELLO } from "./attack.js";
import type { ListenerName } from "./steady-client.js";

const half = headersFrame(1, callHeaders(pathOf("GetServerInfo")).subarray(0, 40), 0);
const http1 = (text: string) => Buffer.from(text.replaceAll("\n", "\r\n"));
const starts: readonly [what: string, on: readonly ListenerName[], start: Uint8Array][] = [
  ["half a preface", ["grpc", "http"], PREFACE.subarray(0, 10)],
  ["no settings", ["grpc", "http"], PREFACE],
  ["half a header block", ["grpc", "http"], Buffer.concat([HELLO, half])],
  ["nothing", ["grpc", "http"], new Uint8Array()],
  ["half a request line", ["http"], http1("GET /livez")],
  ["half a header", ["http"], http1("GET /livez HTTP/1.1\nhost: localhost\nx: ")],
  ["half a body", ["http"], http1("POST /x HTTP/1.1\nhost: localhost\ncontent-length: 9\n\nhalf")],
];

export interface Lingering {
  what: string;
  connection: RawConnection;
}

/** Opens one of each. They are mute: they do not answer SETTINGS and PING. */
export async function openLingering(addresses: Record<ListenerName, string>): Promise<Lingering[]> {
  const all = starts.flatMap(([what, on, start]) =>
    on.map(async (listener) => {
      const connection = await RawConnection.open(addresses[listener], start, true);
      return { what: `${what} on ${listener}`, connection };
    }),
  );
  return Promise.all(all);
}
