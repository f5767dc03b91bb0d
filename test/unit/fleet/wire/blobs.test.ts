/** Bytes by their SHA-256: kept while somebody needs them, and fetched whole, in time and right. */
import { describe, expect, test } from "vitest";
import type { Clock } from "../../../../server/clock.js";
import { EngineError } from "../../../../server/engine/engine.js";
import type { EngineErrorKind } from "../../../../server/engine/engine.js";
import type { RequestChunk } from "../../../../server/fleet/wire/blobs.js";
import { blobOf, Blobs, FetchError, fetchBlob } from "../../../../server/fleet/wire/blobs.js";
import { encodeChunk } from "../../../../server/fleet/wire/codec.js";
import type { Blob } from "../../../../server/fleet/wire/messages.js";
import { CHUNK_BYTES } from "../../../../server/fleet/wire/messages.js";
import { Random } from "../../../../tools/sim/random.js";

const random = new Random(1);
const bytesOf = (length: number) =>
  Uint8Array.from({ length }, (_, at) => (at % 251) ^ random.whole(0, 255));
const large = bytesOf(5 * CHUNK_BYTES + 1000);

describe("kept bytes", () => {
  test("come along in one message if they fit in one chunk", () => {
    const small = bytesOf(10);
    expect(blobOf(small)).toMatchObject({ size: 10, inline: small });
    expect(blobOf(large)).toMatchObject({ size: large.length, inline: undefined });
  });

  test("are given out in chunks until the last who keeps them lets go", () => {
    const blobs = new Blobs(2 * large.length);
    const [first, second] = [blobs.keep(large), blobs.keep(new Uint8Array(large))];
    const { sha256 } = blobOf(large);
    expect(blobs.heldBytes).toBe(large.length);
    first?.release();
    first?.release();
    expect(blobs.chunk(sha256, 5 * CHUNK_BYTES)).toEqual(large.subarray(5 * CHUNK_BYTES));
    second?.release();
    expect([blobs.chunk(sha256, 0).length, blobs.heldBytes]).toEqual([0, 0]);
  });

  test("are no more than there is room for", () => {
    const blobs = new Blobs(large.length);
    const kept = blobs.keep(large);
    expect(blobs.keep(bytesOf(1))).toBeUndefined();
    kept?.release();
    expect(blobs.keep(bytesOf(1))).toBeDefined();
  });

  test("have no chunk past their end, and none by another name", () => {
    const blobs = new Blobs(large.length);
    const kept = blobs.keep(large);
    expect(blobs.chunk(kept?.blob.sha256 ?? "", 6 * CHUNK_BYTES).length).toBe(0);
    expect(blobs.chunk("ab".repeat(32), 0).length).toBe(0);
  });
});

/** A clock that a test moves. */
class ManualClock implements Clock {
  private readonly timers = new Set<{ atMs: number; callback: () => void }>();
  private now = 0;
  nowMs = () => this.now;
  unixMs = () => this.now;
  at = (atMs: number, callback: () => void) => {
    const timer = { atMs, callback };
    this.timers.add(timer);
    return () => void this.timers.delete(timer);
  };

  get pending(): number {
    return this.timers.size;
  }

  move(ms: number): void {
    this.now += ms;
    for (const timer of this.timers) {
      if (timer.atMs > this.now) continue;
      this.timers.delete(timer);
      timer.callback();
    }
  }
}

const DEADLINE_MS = 5000;

function fetching(blob: Blob, request: RequestChunk) {
  const clock = new ManualClock();
  const stop = new AbortController();
  const options = { clock, deadlineAtMs: DEADLINE_MS, signal: stop.signal };
  const result = fetchBlob(blob, request, options).catch((error: unknown) => error);
  return { clock, stop, result };
}

const name = blobOf(large);
/** Answers as a sender that has the bytes. */
const answer: RequestChunk = ({ offset }) =>
  Promise.resolve(encodeChunk(large.subarray(offset, offset + CHUNK_BYTES)));
const turn = () => new Promise((resolve) => setImmediate(resolve));

async function kindOf(result: Promise<unknown>): Promise<string> {
  const error = await result;
  if (error instanceof FetchError) return error.kind;
  throw new Error(`no FetchError: ${String(error)}`);
}

describe("fetched bytes", () => {
  test("come in chunks, four of them on their way at once", async () => {
    let [now, most] = [0, 0];
    const { clock, result } = fetching(name, async (fetch, timeoutMs) => {
      most = Math.max(most, ++now);
      await turn();
      now--;
      return answer(fetch, timeoutMs);
    });
    expect(await result).toEqual(large);
    expect(most).toBe(4);
    expect(clock.pending).toBe(0);
  });

  test("need no request when they came along", async () => {
    const small = blobOf(bytesOf(5));
    const { result } = fetching(small, () => Promise.reject(new Error("asked")));
    expect(await result).toEqual(small.inline);
  });

  test.each<EngineErrorKind>(["timeout", "gone", "down"])(
    "are asked for again after %s",
    async (kind) => {
      let asked = 0;
      const { clock, result } = fetching(name, (fetch, timeoutMs) =>
        ++asked % 3 === 1
          ? Promise.reject(new EngineError(kind, "lost"))
          : answer(fetch, timeoutMs),
      );
      for (let ms = 0; ms < 2000; ms += 100) {
        await turn();
        clock.move(100);
      }
      expect(await result).toEqual(large);
      expect(asked).toBeGreaterThan(6);
    },
  );

  test("are given up once nobody listens at the sender for a second", async () => {
    const { clock, result } = fetching(name, () => Promise.reject(new EngineError("gone", "")));
    for (let ms = 0; ms < 1500; ms += 100) {
      await turn();
      clock.move(100);
    }
    expect(await kindOf(result)).toBe("gone");
  });

  test("wait longer for each answer that does not come, up to four seconds", async () => {
    const waited: number[] = [];
    const { result } = fetching({ ...name, size: 1 }, (_, timeoutMs) => {
      waited.push(timeoutMs);
      return waited.length < 6
        ? Promise.reject(new EngineError("timeout", "lost"))
        : Promise.resolve(encodeChunk(new Uint8Array()));
    });
    expect(await kindOf(result)).toBe("gone");
    expect(waited).toEqual([500, 1000, 2000, 4000, 4000, 4000]);
  });

  test("are late when the deadline comes first, also without an answer", async () => {
    const { clock, result } = fetching(name, () => new Promise(() => undefined));
    clock.move(DEADLINE_MS);
    expect(await kindOf(result)).toBe("late");
  });

  test("are late at once when the deadline has passed", async () => {
    const clock = new ManualClock();
    clock.move(10);
    const result = fetchBlob(name, () => new Promise(() => undefined), { clock, deadlineAtMs: 10 });
    await expect(result).rejects.toMatchObject({ kind: "late" });
  });

  test("are not awaited any more once nobody needs them", async () => {
    const { clock, stop, result } = fetching(name, () => new Promise(() => undefined));
    stop.abort();
    expect(await kindOf(result)).toBe("stopped");
    expect(clock.pending).toBe(0);
  });

  test("end the asking once they have failed", async () => {
    let asked = 0;
    const { clock, result } = fetching(name, () => {
      asked++;
      return Promise.reject(new EngineError("down", "no server"));
    });
    clock.move(DEADLINE_MS);
    expect(await kindOf(result)).toBe("late");
    await turn();
    const before = asked;
    clock.move(1000);
    await turn();
    expect(asked).toBe(before);
  });

  test.each<[string, FetchError["kind"], RequestChunk]>([
    ["no longer there", "gone", () => Promise.resolve(encodeChunk(new Uint8Array()))],
    ["a shorter chunk", "wrong", () => Promise.resolve(encodeChunk(new Uint8Array(3)))],
    [
      "other bytes",
      "wrong",
      ({ offset }) =>
        Promise.resolve(
          encodeChunk(new Uint8Array(large.subarray(offset, offset + CHUNK_BYTES).length)),
        ),
    ],
    ["no chunk", "wrong", () => Promise.resolve(Uint8Array.of(0xff))],
  ])("are refused: %s", async (_, kind, request) => {
    expect(await kindOf(fetching(name, request).result)).toBe(kind);
  });

  test("pass on an error that the engine does not know", async () => {
    const bug = new Error("bug");
    expect(await fetching(name, () => Promise.reject(bug)).result).toBe(bug);
  });
});
