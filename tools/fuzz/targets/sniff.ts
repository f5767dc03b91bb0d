/**
 * Raw bytes on a listener, in pieces: the connection ends or waits, and the service answers others
 * as before. The first byte says how large the pieces are.
 */
import { once } from "node:events";
import { connect } from "node:net";
import type { BareServer } from "../../harness/wire/bare-server.js";
import { startBareServer } from "../../harness/wire/bare-server.js";
import { frame, pathOf, RawClient } from "../../harness/wire/raw-grpc.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";

const HTTP2_START = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const latin1 = (text: string) => Buffer.from(text, "latin1");

const post = (headers: string, body: string) =>
  latin1(
    `POST ${pathOf("GetServerInfo")} HTTP/1.1\r\nhost: localhost\r\n${headers}\r\n\r\n${body}`,
  );
const json = "content-type: application/json";

const openings = [
  latin1("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n"),
  latin1("GET /metrics HTTP/1.0\r\n\r\n"),
  latin1("PRI"),
  latin1("PRI * HTTP/1.1\r\nhost: localhost\r\n\r\n"),
  post(`${json}\r\ncontent-length: 2`, "{}"),
  post(`${json}\r\ntransfer-encoding: chunked`, "2\r\n{}\r\n0\r\n\r\n"),
  post(`${json}\r\ncontent-length: 2\r\ntransfer-encoding: chunked`, "0\r\n\r\n"),
  post(`${json}\r\nexpect: 100-continue\r\ncontent-length: 2`, "{}"),
  post(`${json}\r\nconnect-timeout-ms: 99999999999\r\ncontent-length: 2`, "{}"),
  latin1("POST / HTTP/1.1\r\nhost: localhost\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"),
  Buffer.concat([latin1(HTTP2_START), EMPTY_SETTINGS, EMPTY_SETTINGS]),
  // HEADERS with END_HEADERS and END_STREAM: ":method: GET", ":scheme: http", ":path: /", no authority.
  Buffer.concat([
    latin1(HTTP2_START),
    EMPTY_SETTINGS,
    Buffer.from([0, 0, 3, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84]),
    Buffer.from([0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8]),
  ]),
];

export const target: FuzzTarget = {
  name: "sniff",
  bytesMax: 4096,
  msMax: 1000,
  msPerKb: 10,
  seeds: () =>
    openings.flatMap((opening) =>
      [0, 1, 14].map((first) => new Uint8Array(Buffer.concat([Uint8Array.of(first), opening]))),
    ),
  open: async () => {
    const bare = await startBareServer();
    const other = new RawClient(bare.address);
    return {
      run: (input) => run(bare, other, input),
      close: async () => {
        other.close();
        await bare.close();
      },
    };
  },
};

async function run(bare: BareServer, other: RawClient, input: Uint8Array): Promise<void> {
  const [first = 0] = input;
  const [host = "", port] = bare.address.split(":");
  const socket = connect({ host, port: Number(port), noDelay: true });
  socket.on("error", () => undefined).resume();
  await once(socket, "connect");
  const pieceBytes = Math.max(1, first >> 1);
  const pieces = Math.min(8, Math.ceil((input.length - 1) / pieceBytes));
  for (let piece = 0; piece < pieces && socket.writable; piece++) {
    const start = 1 + piece * pieceBytes;
    const end = piece === pieces - 1 ? input.length : start + pieceBytes;
    await new Promise((resolve) => socket.write(input.subarray(start, end), resolve));
  }
  const { code } = await other.call("GetServerInfo").end(frame(new Uint8Array()));
  holds(code === 0, "other connections are served as before");
  // Some wait for more, for as long as the listener lets them: it is ours to go.
  socket.destroy();
  await bare.memory.reaches(0);
}
