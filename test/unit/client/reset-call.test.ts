/** A call that ends without a status of the service had no answer, whatever grpc-js says of it. */
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { status } from "@grpc/grpc-js";
import { afterEach, expect, it, test, vi } from "vitest";
import { AggregatorError } from "../../../client/errors.js";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { cleanUp, cleanups, eventually, GATES, snapshot, start } from "./adapter-setup.js";

vi.setConfig({ testTimeout: 30_000 });
afterEach(cleanUp);

const errorOf = (code: number, details: string) =>
  AggregatorError.from(Object.assign(new Error(`${code}: ${details}`), { code, details }));

test.each([
  ["Received RST_STREAM with code 2 (Internal server error)", "unavailable"],
  ["Received RST_STREAM with code 2 triggered by internal client error: EPIPE", "unavailable"],
  ["Received RST_STREAM with code 0 (Call ended without gRPC status)", "unavailable"],
  ["Write error: write after end", "unavailable"],
  ["internal error", "internal"],
  ["it Received RST_STREAM with code 2", "internal"],
])("status INTERNAL with the text %j is %s", (details, kind) => {
  expect(errorOf(status.INTERNAL, details)).toMatchObject({ kind });
});

test("another status with such a text is the service's", () => {
  const details = "Received RST_STREAM with code 2";
  expect(errorOf(status.INVALID_ARGUMENT, details)).toMatchObject({ kind: "invalid_argument" });
});

/** A server that resets every call. */
async function startReset(code: number): Promise<string> {
  const server = http2.createServer();
  server.on("stream", (stream) => {
    stream.on("error", () => undefined);
    stream.close(code);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it.each([
  ["INTERNAL_ERROR", http2.constants.NGHTTP2_INTERNAL_ERROR],
  ["PROTOCOL_ERROR", http2.constants.NGHTTP2_PROTOCOL_ERROR],
])("a call that the server resets with %s is unavailable", async (_name, code) => {
  const client = new AggregatorClient({ address: await startReset(code) });
  cleanups.push(() => client.close());
  const call = client.getServerInfo({}, { timeoutMs: 5000 });
  await expect(call).rejects.toMatchObject({ kind: "unavailable" });
});

it("sends a submission again whose call ended so, as after a connection that broke", async () => {
  const { script, aggregator } = await start({ onError: () => undefined });
  const details = "Received RST_STREAM with code 2 (Internal server error)";
  script.refuseWith = { code: status.INTERNAL, details };
  aggregator.submitOrSkip(5, GATES, snapshot);
  await eventually(() => expect(script.submits).toHaveLength(1));
  script.refuseWith = null;
  await eventually(() => expect(script.submits).toHaveLength(2));
  expect(script.submits[1]?.requestId).toBe(script.submits[0]?.requestId);
});
