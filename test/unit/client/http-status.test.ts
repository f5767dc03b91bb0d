/** A plain HTTP status in place of a gRPC one, as a proxy answers, named as such with what to do. */
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { callError } from "../../../cli/io/call-error.js";
import { AggregatorError } from "../../../client/errors.js";
import { httpStatusIn } from "../../../client/http-status.js";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";

const closers: (() => unknown)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

/** Calls a server that answers every call with this status and a page. */
async function failureOf(status: number): Promise<AggregatorError> {
  const server = createServer((_request, response) => {
    response.writeHead(status, { "content-type": "text/html" });
    response.end("<html>no</html>");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const client = new AggregatorClient({ address: `127.0.0.1:${port}` });
  closers.push(() => client.close());
  const failure = await client
    .getServerInfo({}, { timeoutMs: 5000 })
    .catch((error: unknown) => error);
  if (!(failure instanceof AggregatorError)) throw new Error("the call did not fail");
  return failure;
}

test.each([
  [200, "unsupported", /200: its answer is not gRPC; give the address of the service/],
  [301, "unsupported", /301: it redirects elsewhere; give the address that it redirects to/],
  [401, "unauthorized", /401: it wants credentials of its own/],
  [403, "unauthorized", /403: it forbids the call/],
  [404, "unsupported", /404: it has no such path; give the address of the service/],
  [405, "unsupported", /405: it does not pass gRPC calls/],
  [413, "invalid_argument", /413: the request is larger .*nginx: client_max_body_size 24m/],
  [429, "unavailable", /429: it limits the number of calls/],
  [502, "unavailable", /502: it cannot reach the service; start the service, or fix the proxy/],
  [503, "unavailable", /503: it has no service to pass the call to/],
  [504, "unavailable", /504: .*nginx: grpc_read_timeout/],
])("HTTP status %d is %s, and not the service's word", async (status, kind, message) => {
  const failure = await failureOf(status);
  expect(failure.kind).toBe(kind);
  expect(failure.message).toMatch(/^a proxy or another program answered with HTTP status /);
  expect(failure.message).toMatch(message);
  const shown = (await callError(failure, { server: "proxy.example:443" })).message;
  expect(shown).toMatch(/^proxy\.example:443: a proxy or another program answered with HTTP/);
  expect(shown).toMatch(message);
  expect(shown).not.toContain("log");
});

test.each<[string, number | undefined]>([
  ["<html", 200],
  ["\n\t\r\n{", 200],
  ["\0\0 \0\x01", undefined],
  ["\0\x02\0\0\x01", undefined],
])("of what begins with %j and is too large for a message, the status is %s", (first, expected) => {
  const length = Buffer.from(first).readUInt32BE(1);
  const details = `Received message larger than max (${length} vs 1048576)`;
  expect(httpStatusIn(details)).toBe(expected);
});
