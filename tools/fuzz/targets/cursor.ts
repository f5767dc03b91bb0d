/** A cursor is one that was given out, or of another run, or refused; reading on misses nothing. */
import { create } from "@bufbuild/protobuf";
import { SummarySchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ResultsLog } from "../../../server/session/results-log.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";
import { checkRefusal } from "../refusals.js";

const EVENTS = 20;
const KEPT = 8;
const INSTANCE = "00000000000000fa";
const text = (cursor: string) => new TextEncoder().encode(cursor);
const encode = (plain: string) => Buffer.from(plain).toString("base64url");

export const target: FuzzTarget = {
  name: "cursor",
  bytesMax: 256,
  msMax: 10,
  msPerKb: 10,
  seeds: () => [
    ...[0, 1, 11, 12, 20].map((seq) => text(encode(`${INSTANCE}:${seq}`))),
    text(encode("0123456789abcdef:7")),
    text(encode(`${INSTANCE}:21`)),
    text(encode(`${INSTANCE}:07`)),
  ],
  // Most of what can be wrong is under the base64.
  mutate: (input, random) => {
    const plain = Buffer.from(Buffer.from(input).toString(), "base64url").toString();
    const at = random.whole(0, plain.length);
    const piece = random.pick([
      "",
      "0",
      "9",
      ":",
      "-",
      "a",
      "A",
      "1e3",
      " ",
      "\n",
      "99999999999999",
    ]);
    return text(encode(plain.slice(0, at) + piece + plain.slice(at + random.whole(0, 3))));
  },
  open: () => {
    const log = new ResultsLog({
      instance: INSTANCE,
      eventsMax: KEPT,
      nowMs: () => 0,
      afterSeq: 0,
    });
    for (let count = 0; count < EVENTS; count++) {
      const event = { kind: "summary", summary: create(SummarySchema) } as const;
      log.append({ sessionId: `session-${count}`, nodeEpoch: 0n, fenceAtMs: 1, event });
    }
    return { run: (input) => run(log, Buffer.from(input).toString()) };
  },
};

function run(log: ResultsLog, cursor: string): void {
  let position;
  try {
    position = log.parseCursor(cursor);
  } catch (error) {
    return checkRefusal(error, ["invalid_argument"]);
  }
  const { seq, isOtherInstance } = position;
  holds(Number.isSafeInteger(seq) && seq >= 0 && seq <= EVENTS, "a position is within the log");
  if (isOtherInstance) return holds(seq === EVENTS - KEPT, "another run starts over");
  if (cursor !== "") holds(log.cursor(seq) === cursor, "a cursor is one that was given out");
  let read = log.readAfter(seq);
  let at = seq;
  if (read.kind === "gap") {
    holds(read.events === read.resumeSeq - seq && read.events > 0, "a gap counts what is missing");
    at = read.resumeSeq;
    read = log.readAfter(at);
  }
  while (read.kind === "entry") {
    holds(read.entry.seq === at + 1, "events come in order");
    at = read.entry.seq;
    read = log.readAfter(at);
  }
  holds(read.kind === "end" && at === EVENTS, "reading on ends at the last event");
}
