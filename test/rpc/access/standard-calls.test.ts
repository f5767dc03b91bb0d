/** What a policy does to the standard calls: every known caller may make them, for as long as it is. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parsePolicy } from "../../../server/access/policy-file.js";
import { tokenHash } from "../../../server/access/token.js";
import type { Service } from "../../../server/service.js";
import { HeldClock, startBareServer } from "../../../tools/harness/wire/bare-server.js";
import { Gate } from "../../../tools/harness/wire/contract.js";
import { frame, RawClient } from "../../../tools/harness/wire/raw-grpc.js";
import { freshPath } from "../../helpers/command-line.js";
import { metricValue } from "../../helpers/metric-value.js";
import { startTestService } from "../../helpers/start-service.js";

const REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/** A request to reflection: `list_services`. */
const LIST_SERVICES = Uint8Array.of(0x3a, 0);

const tokenOf = (name: string) => `lagg_${name}`;
const policyOf = (name: string, more: object = {}) => {
  const tokens = [{ sha256: tokenHash(tokenOf(name)).toString("hex") }];
  const principal = { name, tokens, nodes: ["*"], calls: ["*"], priorities: ["*"], ...more };
  return JSON.stringify({ principals: [principal] });
};
const headersOf = (name: string) => ({ authorization: `Bearer ${tokenOf(name)}` });

const policyPath = freshPath("policy.json");
let service: Service;
beforeAll(async () => {
  writeFileSync(policyPath, policyOf("three"));
  service = await startTestService(new Gate().startProver, { policy: policyPath });
});
afterAll(() => service.close());

test.each([
  ["/grpc.health.v1.Health/Check", 0],
  ["/grpc.health.v1.Health/Watch", 16],
  [REFLECTION, 16],
])("%s, for somebody unknown, answers %i", async (path, code) => {
  const client = new RawClient(service.addresses[0] ?? "");
  try {
    expect((await client.call(path).end(frame(new Uint8Array()))).code).toBe(code);
  } finally {
    client.close();
  }
});

test("reflection is for anybody who is known", async () => {
  const client = new RawClient(service.addresses[0] ?? "");
  try {
    const call = client.call(REFLECTION, headersOf("three"));
    expect((await call.end(frame(new Uint8Array()))).code).not.toBe(16);
  } finally {
    client.close();
  }
});

test("reflection and a health watch end when the policy no longer allows them", async () => {
  const path = freshPath("policy.json");
  writeFileSync(path, policyOf("two"));
  const its = await startTestService(new Gate().startProver, { policy: path });
  const client = new RawClient(its.addresses[0] ?? "");
  try {
    const headers = headersOf("two");
    const watch = client.call("/grpc.health.v1.Health/Watch", headers);
    watch.stream.end(frame(new Uint8Array()));
    const reflection = client.call(REFLECTION, headers).send(frame(LIST_SERVICES));
    for (const { stream } of [watch, reflection]) await once(stream, "data");
    writeFileSync(path, policyOf("three"));
    const denied = { code: 16, message: "the token is not known" };
    expect([await watch.status, await reflection.status]).toEqual([denied, denied]);
    // What the caller sends on keeps nothing open.
    if (!reflection.stream.destroyed) reflection.send(frame(LIST_SERVICES));
    const labels = { method: "other", code: "unauthenticated" };
    const ended = () =>
      metricValue(its.metrics.registry, "lean_aggregator_server_calls_total", labels);
    await expect.poll(ended).toBe(2);
    await expect.poll(async () => (await its.metrics.heldBytes.get()).values[0]?.value).toBe(0);
  } finally {
    client.close();
    await its.close();
  }
});

test("each question to reflection counts as a call", async () => {
  const quota = { callsPerMinute: 3 };
  const policy = parsePolicy(policyOf("one", { quota }));
  const bare = await startBareServer({ policy, clock: new HeldClock() });
  const client = new RawClient(bare.address);
  try {
    const call = client.call(REFLECTION, headersOf("one"));
    let answers = 0;
    call.stream.on("data", () => answers++);
    for (let asked = 1; asked <= 3; asked++) {
      call.send(frame(LIST_SERVICES));
      await expect.poll(() => answers).toBe(asked);
    }
    call.send(frame(LIST_SERVICES));
    expect(await call.status).toEqual({
      code: 8,
      message: expect.stringMatching(/^quota callsPerMinute of principal one is 3/),
    });
    await bare.memory.reaches(0);
  } finally {
    client.close();
    await bare.close();
  }
});

test("a stream of questions to reflection ends with its own deadline", async () => {
  const clock = new HeldClock();
  const bare = await startBareServer({ clock });
  const client = new RawClient(bare.address);
  try {
    const call = client.call(REFLECTION, { "grpc-timeout": "60S" }).send(frame(LIST_SERVICES));
    await once(call.stream, "data");
    clock.skip(60_000);
    expect((await call.status).code).toBe(4);
    await bare.memory.reaches(0);
  } finally {
    client.close();
    await bare.close();
  }
});
