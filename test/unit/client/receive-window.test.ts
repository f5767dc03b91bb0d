/** What the client tells a server that it may send before it has to wait. */
import { once } from "node:events";
import { createServer } from "node:http2";
import type { ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";

test("a proof of the largest kind may be on its way, on the stream and the connection", async () => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = new AggregatorClient({
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
  const sessions = once(server, "session");
  const call = client.getServerInfo({}, { timeoutMs: 10_000 }).catch(() => undefined);
  const [session] = (await sessions) as [ServerHttp2Session];
  await once(server, "stream");
  expect(session.remoteSettings.initialWindowSize).toBe(1024 * 1024);
  expect(session.state.remoteWindowSize).toBe(1024 * 1024);
  client.close();
  session.destroy();
  await call;
  server.close();
  await once(server, "close");
});
