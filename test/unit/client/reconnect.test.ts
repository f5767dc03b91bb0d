/** A client that gives up a silent connection for a new one. */
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, expect, it, vi } from "vitest";
import { AggregatorClient } from "../../../client/index.js";
import { cleanUp, cleanups, eventually } from "./adapter-setup.js";
import { ScriptedService } from "./scripted-service.js";

vi.setConfig({ testTimeout: 30_000 });
afterEach(cleanUp);

async function connect() {
  const service = new ScriptedService();
  const client = new AggregatorClient({ address: await service.listen() });
  cleanups.push(() => service.stop());
  cleanups.push(() => client.close());
  return { service, client };
}

it("ends calls in flight as unavailable, and makes later ones on a new connection", async () => {
  const { service, client } = await connect();
  // The scripted service never answers it.
  const call = client.getServerInfo();
  const stream = client.streamResults({});
  await stream.next();
  const next = stream.next();
  const peers = () => service.streams.map((each) => each.getPeer());
  client.reconnect();
  await expect(call).rejects.toMatchObject({ kind: "unavailable" });
  await expect(next).rejects.toMatchObject({ kind: "unavailable" });
  const again = client.streamResults({});
  expect((await again.next()).value?.event.case).toBe("opened");
  expect(new Set(peers()).size).toBe(2);
  await again.return();
});

it("reports what the caller has aborted as cancelled, also during a new connection", async () => {
  const { client } = await connect();
  const stop = new AbortController();
  const call = client.getServerInfo({}, { signal: stop.signal });
  stop.abort();
  client.reconnect();
  await expect(call).rejects.toMatchObject({ kind: "cancelled" });
});

it("stays closed", async () => {
  const { service, client } = await connect();
  client.close();
  client.reconnect();
  await expect(client.getServerInfo()).rejects.toMatchObject({ kind: "cancelled" });
  await eventually(() => expect(service.streams).toEqual([]));
});

it.each([
  ["in plain text", {}],
  ["over TLS", { tls: {} }],
])("leaves no connection %s to a server that never speaks", async (_, options) => {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => undefined).once("close", () => open.delete(socket));
    socket.resume();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const client = new AggregatorClient({ address: `127.0.0.1:${port}`, ...options });
  const call = async (end: () => void) => {
    const failed = expect(client.getServerInfo()).rejects.toThrow();
    await eventually(() => expect(open.size).toBe(1));
    end();
    await failed;
    await eventually(() => expect(open.size).toBe(0));
  };
  for (let times = 0; times < 3; times++) await call(() => client.reconnect());
  await call(() => client.close());
});
