/** How the page reads its stream, without a browser: from servers that fall silent. */
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { answers } from "../../page/view/stream.js";
import { envelope } from "./fed-page.js";

const SILENCE_MS = 300;
const realFetch = fetch;
let serve: (response: ServerResponse) => void;
const server = createServer((request, response) => {
  request.resume();
  serve(response);
});

beforeEach(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  vi.stubGlobal("fetch", (path: string, init: RequestInit) =>
    realFetch(`http://127.0.0.1:${port}${path}`, init),
  );
});
afterEach(async () => {
  vi.unstubAllGlobals();
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
});

/** The instants of the answers, and why the stream ended. */
async function read(): Promise<[nowMs: number[], why: string]> {
  const nowMs: number[] = [];
  try {
    for await (const answer of answers("", SILENCE_MS)) nowMs.push(answer.nowMs);
  } catch (error) {
    return [nowMs, error instanceof Error ? error.message : "?"];
  }
  return [nowMs, "ended"];
}

const silent = `no answer for ${SILENCE_MS / 1000} s`;

test("a service that hangs after an answer, or before the first, is given up", async () => {
  serve = (response) => response.write(envelope(0, { nowMs: 7 }));
  expect(await read()).toEqual([[7], silent]);
  serve = () => undefined;
  expect(await read()).toEqual([[], silent]);
});

test("a stream that is slow, but not silent, is read to its end", async () => {
  serve = (response) => {
    const bytes = Buffer.concat([
      ...[1, 2, 3].map((nowMs) => envelope(0, { nowMs })),
      envelope(2, {}),
    ]);
    const steps = 8;
    let sent = 0;
    const timer = setInterval(() => {
      response.write(
        bytes.subarray((sent * bytes.length) / steps, (++sent * bytes.length) / steps),
      );
      if (sent < steps) return;
      clearInterval(timer);
      response.end();
    }, SILENCE_MS / 4);
  };
  expect(await read()).toEqual([[1, 2, 3], "ended"]);
});
