/** The attacks over HTTP/1.1, written as the bytes that are sent. */
import { gzipSync } from "node:zlib";
import { frame, pathOf } from "../../harness/wire/raw-grpc.js";
import type { Attack } from "./attack.js";

const text = (lines: readonly string[]) => Buffer.from(lines.join("\r\n"));
const GET = text(["GET /metrics HTTP/1.1", "host: localhost", "", ""]);
const POST = [
  `POST ${pathOf("SubmitSnapshot")} HTTP/1.1`,
  "host: localhost",
  "content-type: application/json",
];
/** A health watch, which stays open: a frame of `{}`. */
const WATCH = Buffer.concat([
  text([
    "POST /grpc.health.v1.Health/Watch HTTP/1.1",
    "host: localhost",
    "content-type: application/connect+json",
    "content-length: 7",
    "",
    "",
  ]),
  frame(Buffer.from("{}")),
]);
const BOMB = gzipSync(Buffer.alloc(24_000_000, '{"a":[{},'));

export const http1Attacks: readonly Attack[] = [
  {
    name: "HTTP/1.1 slow headers",
    on: ["http"],
    isCut: false,
    run: async (attacker) => {
      const connections = await attacker.openMany(200, text([...POST, ""]));
      await attacker.drip(connections, () => Buffer.from("x: y\r\n"));
    },
  },
  {
    name: "HTTP/1.1 slow bodies",
    on: ["http"],
    isCut: false,
    run: async (attacker) => {
      const start = text([...POST, "content-length: 20000000", "", "{"]);
      await attacker.drip(await attacker.openMany(50, start), () => Buffer.from(" "));
    },
  },
  {
    name: "HTTP/1.1 endless headers",
    on: ["http"],
    isCut: true,
    run: (attacker) => {
      const more = Buffer.from("x: yyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".repeat(100));
      return attacker.flood(() => more, { start: text([...POST, ""]) });
    },
  },
  {
    name: "HTTP/1.1 unread pages",
    on: ["http"],
    isCut: false,
    run: async (attacker) => {
      const connections = await attacker.openMany(50, new Uint8Array());
      for (const { socket } of connections) socket.pause();
      for (const each of connections) void each.write(Buffer.concat(Array(50).fill(GET)));
      await attacker.over();
    },
  },
  {
    name: "HTTP/1.1 JSON gzip bombs",
    on: ["http"],
    isCut: false,
    run: (attacker) => {
      const length = `content-length: ${BOMB.length}`;
      const bomb = Buffer.concat([text([...POST, "content-encoding: gzip", length, "", ""]), BOMB]);
      return attacker.flood(() => bomb, { start: bomb, everyMs: 20 });
    },
  },
  {
    name: "HTTP/1.1 streams sent ahead of their answers",
    on: ["http"],
    isCut: true,
    run: (attacker) => {
      const many = Buffer.concat(Array.from({ length: 300 }, () => WATCH));
      return attacker.flood(() => many, { start: many, everyMs: 10 });
    },
  },
  {
    name: "HTTP/1.1 bodies in pieces of one byte",
    on: ["http"],
    isCut: false,
    run: (attacker) => {
      const start = text([...POST, "transfer-encoding: chunked", "", ""]);
      const pieces = Buffer.from("1\r\n \r\n".repeat(1000));
      return attacker.flood(() => pieces, { start, everyMs: 20 });
    },
  },
];
