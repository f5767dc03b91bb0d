/** Reading a request whose pieces are as its sender likes: each byte is copied twice at most. */
import { EventEmitter } from "node:events";
import { PassThrough } from "node:stream";
import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import type { HttpRequest, HttpResponse } from "../../../../server/net/http-listener.js";
import { GatheredBody } from "../../../../server/rpc/call/gathered-body.js";
import { readRequest } from "../../../../server/rpc/call/read-request.js";
import { systemClock } from "../../../../server/clock.js";
import { frame } from "../../../../tools/harness/wire/raw-grpc.js";

afterEach(() => vi.restoreAllMocks());

/** Reads what is sent in these pieces; `heldMost`: the most memory that was reserved for it. */
async function read(pieces: readonly Buffer[], bytesMax = 1e9) {
  const request = new PassThrough();
  const response = new EventEmitter();
  let heldMost = 0;
  const reading = readRequest(
    request as unknown as HttpRequest,
    response as unknown as HttpResponse,
    {
      type: "application/grpc",
      bytesMax,
      announcedBytes: undefined,
      lateAtMs: systemClock.nowMs() + 60_000,
      clock: systemClock,
      hold: (bytes) => {
        heldMost = Math.max(heldMost, bytes);
        return true;
      },
    },
  );
  for (const piece of pieces) request.emit("data", piece);
  request.end();
  return { body: await reading, heldMost };
}

/** A body in pieces of these lengths; the last piece is the rest. */
function piecesOf(body: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces = [];
  let from = 0;
  for (const length of [...lengths, body.length]) {
    pieces.push(body.subarray(from, from + length));
    from += length;
  }
  return pieces;
}

const bodyOf = (bytes: number) => frame(Buffer.alloc(bytes, "0123456789"));
const ones = (count: number) => Array.from({ length: count }, () => 1);

test.each([
  ["one small piece before many", [1, ...Array.from({ length: 2000 }, () => 10)]],
  ["pieces of one byte", ones(20_000)],
])("a request in %s is copied twice, and is held as it is", async (_, lengths) => {
  let copied = 0;
  const concat = Buffer.concat.bind(Buffer);
  vi.spyOn(Buffer, "concat").mockImplementation((list, length) => {
    const joined = concat(list, length);
    copied += joined.length;
    return joined;
  });
  const { copy } = Buffer.prototype;
  vi.spyOn(Buffer.prototype, "copy").mockImplementation(function (this: Buffer, ...to) {
    const bytes = copy.apply(this, to);
    copied += bytes;
    return bytes;
  });
  const body = bodyOf(20_000);
  const result = await read(piecesOf(body, lengths));
  expect(result.body.equals(body)).toBe(true);
  // Of Node's versions, some count the copies of `concat` twice.
  expect(copied).toBeLessThanOrEqual(3 * body.length + 100);
  expect(result.heldMost).toBeLessThanOrEqual(body.length + 64 * 1024);
});

test("a message announced over the limit is refused with its fifth byte", async () => {
  const limit = 1000;
  const header = frame(new Uint8Array(), limit + 1);
  const rest = Buffer.alloc(1);
  await expect(read([...piecesOf(header, ones(4)), rest], limit)).rejects.toMatchObject({
    kind: "resource_exhausted",
  });
  const whole = bodyOf(limit);
  expect((await read(piecesOf(whole, ones(4)), limit)).body.equals(whole)).toBe(true);
});

test("whatever the pieces, the body is their sum, and takes a block more at most", () => {
  const property = fc.property(fc.array(fc.nat(100_000), { maxLength: 20 }), (lengths) => {
    const body = new GatheredBody();
    const sent = lengths.map((length, at) => Buffer.alloc(length, String(at)));
    for (const piece of sent) {
      body.add(piece);
      expect(body.heldBytes).toBeGreaterThanOrEqual(body.length);
      expect(body.heldBytes).toBeLessThan(body.length + 64 * 1024);
    }
    expect(body.whole().equals(Buffer.concat(sent))).toBe(true);
  });
  fc.assert(property, { numRuns: 50 });
});
