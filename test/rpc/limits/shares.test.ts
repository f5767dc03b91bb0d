/** The share of the memory that one sender of requests may have, on both bare. */
import { afterEach, expect, test } from "vitest";
import { parsePolicy } from "../../../server/access/policy-file.js";
import { tokenHash } from "../../../server/access/token.js";
import { limits } from "../../../server/limits.js";
import { startBareServer } from "../../../tools/harness/wire/bare-server.js";
import type { BareOptions, BareServer } from "../../../tools/harness/wire/bare-server.js";
import type { RawStatus } from "../../../tools/harness/wire/raw-grpc.js";
import { frame, RawClient } from "../../../tools/harness/wire/raw-grpc.js";

const KIB = 1024;
const STEPS = 64;
const RESOURCE_EXHAUSTED = 8;
const INVALID_ARGUMENT = 3;

let bare: BareServer;
const clients: RawClient[] = [];
const start = async (options: BareOptions = {}) =>
  (bare = await startBareServer({ bytesMax: STEPS * limits.requestBytesMax, ...options }));
function connectToServer(): RawClient {
  const client = new RawClient(bare.address);
  clients.push(client);
  return client;
}
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await bare.close();
});

const headersOf = (token: string) => ({ authorization: `Bearer ${token}` });

const heldSteps = () => bare.memory.heldBytes / limits.requestBytesMax;

/** Opens as many uploads as a connection may, and sends a part of each; the status of those refused. */
async function stalled(token = ""): Promise<RawStatus[]> {
  const before = heldSteps();
  const client = connectToServer();
  const refused: RawStatus[] = [];
  for (let count = 0; count < limits.callsPerConnectionMax; count++) {
    const call = client.call("SubmitSnapshot", token === "" ? {} : headersOf(token));
    void call.status.then(
      (status) => refused.push(status),
      () => undefined,
    );
    call.stream.resume();
    call.send(frame(new Uint8Array(limits.requestBytesMax / 2), limits.snapshotBytesMax));
  }
  await expect.poll(() => refused.length + heldSteps() - before).toBe(limits.callsPerConnectionMax);
  return refused;
}

/** The code of a snapshot of so many bytes: not of memory, since it is read to its end. */
async function codeOfSnapshot(bytes: number, token = ""): Promise<number> {
  const call = connectToServer().call("SubmitSnapshot", token === "" ? {} : headersOf(token));
  return (await call.end(frame(new Uint8Array(bytes)))).code;
}

test("another node's snapshot is accepted while one stalls as many uploads as it may open", async () => {
  await start();
  const [refused] = await stalled();
  expect(refused).toEqual({
    code: RESOURCE_EXHAUSTED,
    message: "overloaded: no memory is free for this request",
  });
  expect(heldSteps()).toBe(13);
  expect(await codeOfSnapshot(512 * KIB)).toBe(INVALID_ARGUMENT);
});

test("eight connections that do that leave room for an ordinary snapshot", async () => {
  await start();
  for (let count = 0; count < 8; count++) await stalled();
  expect(await codeOfSnapshot(100 * KIB)).toBe(INVALID_ARGUMENT);
});

test("a caller with a token has half of the memory at most, over all its connections", async () => {
  const principals = ["one", "two"].map((name) => ({
    name,
    tokens: [{ sha256: tokenHash(`lagg_${name}`).toString("hex") }],
    nodes: ["*"],
    calls: ["*"],
    priorities: ["*"],
  }));
  await start({ policy: parsePolicy(JSON.stringify({ principals })) });
  for (let count = 0; count < 8; count++) await stalled("lagg_one");
  expect(heldSteps()).toBeLessThanOrEqual(STEPS / 2);
  expect(await codeOfSnapshot(100 * KIB, "lagg_one")).toBe(RESOURCE_EXHAUSTED);
  expect(await codeOfSnapshot(300 * KIB, "lagg_two")).toBe(INVALID_ARGUMENT);
});
