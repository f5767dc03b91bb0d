/** How much a server may send before it hears from the client again. */
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { AggregatorClient } from "../../../client/rpc/aggregator-client.js";
import { ScriptedService } from "./scripted-service.js";

/** The largest proof, as PROTOCOL.md says. */
const PROOF_BYTES = 512 * 1024;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Forwards to the service; after `silence()`, nothing from the client gets through. */
async function startProxy(target: string) {
  const [host = "", port = ""] = target.split(":");
  const sockets: Socket[] = [];
  let isSilent = false;
  const server = createServer((near) => {
    const far = connect(Number(port), host);
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on("error", () => socket.destroy());
    near.on("data", (bytes) => void (isSilent || far.write(bytes)));
    far.pipe(near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port: ownPort } = server.address() as AddressInfo;
  return { address: `127.0.0.1:${ownPort}`, silence: () => (isSilent = true) };
}

test("the largest proof arrives whole although no window update reaches the server", async () => {
  const service = new ScriptedService();
  const proxy = await startProxy(await service.listen());
  cleanups.push(() => service.stop());
  const client = new AggregatorClient({ address: proxy.address });
  cleanups.push(() => client.close());
  const results = client.streamResults({});
  expect((await results.next()).value?.event.case).toBe("opened");
  proxy.silence();
  service.proved({ proof: new Uint8Array(PROOF_BYTES) });
  const { value } = await results.next();
  expect(value?.event.case === "outcome" && value.event.value.proof.length).toBe(PROOF_BYTES);
  await results.return();
});
