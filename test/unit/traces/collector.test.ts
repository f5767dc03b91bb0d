/** What becomes of a request to the collector: its status decides, whatever the body of the answer is. */
import type { ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../../server/clock.js";
import { Collector } from "../../../server/traces/collector.js";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function collectorThat(answer: (response: ServerResponse) => void): Promise<Collector> {
  const server = createServer((request, response) => {
    request.resume().on("end", () => answer(response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/v1/traces`;
  const collector = new Collector({ url, headersFile: undefined }, { clock: systemClock });
  closers.push(() => {
    collector.close();
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return collector;
}

const taken = { kind: "taken", rejected: 0, reason: "" };
const long = Buffer.alloc(100 * 1024);

test.each<[string, number, object]>([
  ["a long body", 200, taken],
  ["a long body", 202, taken],
  ["a long body", 400, { kind: "refused", reason: "HTTP status 400" }],
  ["a long body", 503, { kind: "failed", reason: "HTTP status 503" }],
])("%s of status %i decides nothing", async (_what, status, sent) => {
  const collector = await collectorThat((response) => void response.writeHead(status).end(long));
  for (let at = 0; at < 2; at++) expect(await collector.send(Uint8Array.of())).toEqual(sent);
});

test("spans are taken though the body breaks off, and not when no answer comes", async () => {
  const broken = await collectorThat((response) => {
    response.writeHead(200, { "content-length": 10 }).write("x", () => response.destroy());
  });
  expect(await broken.send(Uint8Array.of())).toEqual(taken);
  const gone = await collectorThat((response) => void response.destroy());
  expect(await gone.send(Uint8Array.of())).toMatchObject({ kind: "failed" });
});
