/** The attacks over HTTP/2. */
import { gzipSync } from "node:zlib";
import { limits } from "../../../server/limits.js";
import { frame as message, pathOf } from "../../harness/wire/raw-grpc.js";
import {
  callHeaders,
  FLAG,
  frame,
  FRAME,
  headersFrame,
  hpackInteger,
  hpackLiteral,
  ping,
  PREFACE,
  reset,
  SETTING,
  settings,
} from "../../harness/wire/raw-http2.js";
import type { Attack } from "./attack.js";
import { HELLO } from "./attack.js";

const NONE = new Uint8Array();
const INFO = callHeaders(pathOf("GetServerInfo"));
const SUBMIT = callHeaders(pathOf("SubmitSnapshot"));
const BOTH = ["grpc", "http"] as const;
/** The start of a connection with a flow-control window of 0: the server may send no body bytes. */
const STARVED = Buffer.concat([PREFACE, settings({ [SETTING.INITIAL_WINDOW_SIZE]: 0 })]);

const many = (count: number, make: () => Uint8Array) =>
  Buffer.concat(Array.from({ length: count }, make));
const data = (stream: number, payload: Uint8Array, flags = 0) =>
  frame(FRAME.DATA, flags, stream, payload);
/** The frames of a whole call; `body` is by default one empty message. */
const call = (stream: number, block: Uint8Array, body: Uint8Array = message(NONE)) =>
  Buffer.concat([headersFrame(stream, block), data(stream, body, FLAG.END_STREAM)]);

/** Splits a body into DATA frames of the largest size allowed. */
function inFrames(stream: number, body: Uint8Array): Buffer {
  const frames = [];
  for (let at = 0; at < body.length; at += 16_384) {
    frames.push(data(stream, body.subarray(at, at + 16_384)));
  }
  return Buffer.concat([...frames, data(stream, NONE, FLAG.END_STREAM)]);
}

/** A call whose body comes in pieces of so many bytes, one of a single byte first. */
function inPieces(stream: number, bytes: number, pieceBytes: number): Buffer {
  const body = message(new Uint8Array(bytes));
  const frames = [data(stream, body.subarray(0, 1))];
  for (let at = 1; at < body.length; at += pieceBytes) {
    frames.push(data(stream, body.subarray(at, at + pieceBytes)));
  }
  return Buffer.concat([
    headersFrame(stream, SUBMIT),
    ...frames,
    data(stream, NONE, FLAG.END_STREAM),
  ]);
}

/** Slow enough that each bomb could be decompressed: faster would only be a flood of calls. */
const BOMB_EVERY = { everyMs: 20 };
/** 24 MB of zeros, compressed to 24 KB. */
const BOMB = gzipSync(Buffer.alloc(24_000_000));

/** A message of a quarter of a million fields that no message has. */
const UNKNOWN_FIELDS = message(Buffer.alloc(500_000, Uint8Array.of(0x78, 0x01)));

function compressed(body: Uint8Array): Buffer {
  const framed = message(body);
  framed.writeUInt8(1, 0);
  return framed;
}

export const attacks: readonly Attack[] = [
  {
    name: "1000 idle connections",
    on: BOTH,
    isCut: false,
    run: async (attacker) => {
      for (let batch = 0; batch < 10; batch++) await attacker.openMany(100);
      await attacker.over();
    },
  },
  {
    name: "200 half-open connections",
    on: BOTH,
    isCut: true,
    run: async (attacker) => {
      await attacker.openMany(100, NONE);
      await attacker.openMany(100, PREFACE.subarray(0, 20));
      await attacker.over();
    },
  },
  {
    name: "slow headers",
    on: BOTH,
    isCut: true,
    run: async (attacker) => {
      const connections = await attacker.openMany(50);
      for (const each of connections) {
        await each.write(headersFrame(each.stream(), INFO.subarray(0, 40), 0));
      }
      // Just enough frames to keep the connection busy: more would be a flood.
      await attacker.drip(connections, () => frame(FRAME.CONTINUATION, 0, 1, NONE), 500);
    },
  },
  {
    name: "slow bodies",
    on: BOTH,
    isCut: false,
    run: async (attacker) => {
      const connections = await attacker.openMany(50);
      for (const each of connections) {
        const stream = each.stream();
        const start = message(NONE, 1_000_000);
        await each.write(headersFrame(stream, SUBMIT), data(stream, start));
      }
      await attacker.drip(connections, () => data(1, Buffer.alloc(1)));
    },
  },
  {
    name: "starved answers",
    on: BOTH,
    isCut: false,
    run: async (attacker) => {
      for (const each of await attacker.openMany(5, STARVED)) {
        await each.write(many(limits.callsPerConnectionMax, () => call(each.stream(), INFO)));
      }
      await attacker.over();
    },
  },
  {
    name: "starved pages",
    on: ["http"],
    isCut: false,
    run: async (attacker) => {
      const block = callHeaders("/metrics", { ":method": "GET" });
      for (const each of await attacker.openMany(20, STARVED)) {
        await each.write(
          many(limits.callsPerConnectionMax, () => headersFrame(each.stream(), block, 5)),
        );
      }
      await attacker.over();
    },
  },
  {
    name: "rapid reset",
    on: BOTH,
    isCut: true,
    run: (attacker) =>
      attacker.flood((each) =>
        many(100, () => {
          const stream = each.stream();
          return Buffer.concat([headersFrame(stream, INFO), reset(stream)]);
        }),
      ),
  },
  {
    name: "CONTINUATION flood",
    on: BOTH,
    isCut: true,
    run: (attacker) => {
      const start = Buffer.concat([HELLO, headersFrame(1, INFO, 0)]);
      const more = frame(FRAME.CONTINUATION, 0, 1, hpackLiteral("x", "y".repeat(1000)));
      // Mute: acknowledging SETTINGS within a header block would be a protocol error by itself.
      return attacker.flood(() => more, { start, isMute: true });
    },
  },
  {
    name: "SETTINGS flood",
    on: BOTH,
    isCut: true,
    run: (attacker) => {
      const few = many(100, () => settings({ [SETTING.INITIAL_WINDOW_SIZE]: 65_535 }));
      return attacker.flood(() => few);
    },
  },
  {
    name: "PING flood",
    on: BOTH,
    isCut: true,
    run: (attacker) => {
      const few = many(100, ping);
      return attacker.flood(() => few);
    },
  },
  {
    name: "streams beyond the limit",
    on: BOTH,
    isCut: true,
    run: (attacker) => attacker.flood((each) => many(100, () => headersFrame(each.stream(), INFO))),
  },
  {
    name: "oversized headers",
    on: BOTH,
    isCut: false,
    run: (attacker) => {
      const block = Buffer.concat([INFO, hpackLiteral("x", "y".repeat(15_000))]);
      return attacker.flood((each) => {
        const stream = each.stream();
        const more = hpackLiteral("x", "y".repeat(15_000));
        return Buffer.concat([
          headersFrame(stream, block, FLAG.END_STREAM),
          frame(FRAME.CONTINUATION, 0, stream, more),
          frame(FRAME.CONTINUATION, 0, stream, more),
          frame(FRAME.CONTINUATION, 0, stream, more),
          frame(FRAME.CONTINUATION, 0, stream, more),
          frame(FRAME.CONTINUATION, FLAG.END_HEADERS, stream, more),
        ]);
      });
    },
  },
  {
    name: "HPACK bomb",
    on: BOTH,
    isCut: false,
    run: (attacker) => {
      // One entry of 4000 bytes in the header table, and 10 000 references of one byte to it.
      const entry = hpackLiteral("x", "y".repeat(4000 - 33), true);
      const references = many(10_000, () => hpackInteger(62, 7, 0x80));
      const bomb = Buffer.concat([INFO, entry, references]);
      return attacker.flood((each) => headersFrame(each.stream(), bomb, 5));
    },
  },
  {
    name: "gzip bombs",
    on: BOTH,
    isCut: false,
    run: (attacker) => {
      const block = callHeaders(pathOf("SubmitSnapshot"), { "grpc-encoding": "gzip" });
      const bodies = inFrames(1, compressed(BOMB));
      return attacker.flood((each) => {
        const stream = each.stream();
        // Puts this stream's id into each frame, behind its length, type and flags.
        const own = Buffer.from(bodies);
        for (let at = 0; at < own.length; at += 9 + own.readUIntBE(at, 3)) {
          own.writeUInt32BE(stream, at + 5);
        }
        return Buffer.concat([headersFrame(stream, block), own]);
      }, BOMB_EVERY);
    },
  },
  {
    name: "bodies of unknown fields",
    on: BOTH,
    isCut: false,
    run: (attacker) =>
      attacker.flood(
        (each) => {
          const stream = each.stream();
          return Buffer.concat([headersFrame(stream, SUBMIT), inFrames(stream, UNKNOWN_FIELDS)]);
        },
        { everyMs: 20 },
      ),
  },
  {
    name: "bodies in pieces of one byte",
    on: BOTH,
    isCut: false,
    run: (attacker) => attacker.flood((each) => inPieces(each.stream(), 2000, 1), { everyMs: 20 }),
  },
  {
    name: "bodies in many pieces after a small one",
    on: BOTH,
    isCut: false,
    run: (attacker) =>
      attacker.flood((each) => inPieces(each.stream(), 500_000, 250), { everyMs: 20 }),
  },
];
