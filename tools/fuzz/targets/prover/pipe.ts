/**
 * Bytes from the pipe of a prover process, in pieces of any size: they yield messages, then at most
 * one report of garbage, then the end. The first byte of an input sets the size of the pieces.
 */
import { Duplex } from "node:stream";
import { limits } from "../../../../server/limits.js";
import { readMessages } from "../../../../server/prover/pipe.js";
import { mutateBytes } from "../../engine/mutate-bytes.js";
import { mutateValue } from "../../engine/mutate-value.js";
import type { FuzzTarget } from "../../engine/target.js";
import { holds } from "../../engine/target.js";
import { fromChild, framed } from "../../prover-values.js";

const HEADER_BYTES = 4;

export const target: FuzzTarget = {
  name: "pipe",
  bytesMax: 256 * 1024,
  msMax: 50,
  msPerKb: 3,
  seeds: () => [
    ...[0, 1, 7, 200].map((size) => seed(size, fromChild.map(framed))),
    // As many messages as fit: the cost of each must depend on its own length only.
    seed(
      255,
      Array.from({ length: 20_000 }, () => framed(1)),
    ),
  ],
  mutate: (input, random) => {
    if (random.chance(0.5)) return mutateBytes(input, random);
    const value = mutateValue(random.pick(fromChild), random);
    const body = random.chance(0.5) ? framed(value) : mutateBytes(framed(value), random);
    return seed(input[0] ?? 0, [input.subarray(1), body]);
  },
  open: () => ({ run }),
};

function seed(pieceBytes: number, parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat([Uint8Array.of(pieceBytes), ...parts]));
}

class Pipe extends Duplex {
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: string, done: () => void): void {
    done();
  }
}

async function run(input: Uint8Array): Promise<void> {
  const events: string[] = [];
  let messageBytes = 0;
  const pipe = new Pipe();
  const closed = new Promise<void>((resolve) => {
    readMessages(
      pipe,
      {
        onMessage: () => {
          events.push("message");
          messageBytes += HEADER_BYTES;
        },
        onGarbage: (why) => {
          holds(why !== "", "garbage is explained");
          events.push("garbage");
          pipe.destroy();
        },
        onEnd: () => {
          events.push("end");
          resolve();
        },
      },
      limits.proverReplyBytesMax,
    );
  });
  const pieceBytes = input[0] === 255 ? 64 * 1024 : (input[0] ?? 0) * 8 + 1;
  // Smaller pieces of a long input cover nothing new.
  const step = Math.max(pieceBytes, input.length >> 9);
  for (let at = 1; at < input.length && !pipe.destroyed; at += step) {
    pipe.push(input.slice(at, at + step));
  }
  pipe.push(null);
  await new Promise((resolve) => setImmediate(resolve));
  pipe.destroy();
  await closed;
  const kinds = events
    .join(" ")
    .replace(/(message ?)+/, "message ")
    .trim();
  holds(/^(message )?(garbage )?end$/.test(kinds), `messages, garbage, end; not ${kinds}`);
  holds(messageBytes <= input.length, "each message has a header of its own");
}
