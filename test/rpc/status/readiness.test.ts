/** Liveness and readiness, by pages for probes and by gRPC health, which say the same. */
import { create } from "@bufbuild/protobuf";
import { credentials, makeGenericClientConstructor } from "@grpc/grpc-js";
import type { requestCallback } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { healthCommand } from "../../../cli/health.js";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../../proto/gen/grpc/health/v1/health_pb.js";
import { grpcServiceDefinition } from "../../../tools/harness/wire/grpc-js.js";
import { AggregatorService } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Service } from "../../../server/service.js";
import { fakeTerminal } from "../../helpers/command-line.js";
import { clientOver, Gate, inventedGroup, nodeFor } from "../../../tools/harness/wire/contract.js";
import { listenTestService, startTestService } from "../../helpers/start-service.js";
import { snapshot } from "../../../tools/harness/vectors.js";

interface HealthClient {
  check(request: { service: string }, callback: requestCallback<{ status: ServingStatus }>): void;
  close(): void;
}
const HealthClient = makeGenericClientConstructor(grpcServiceDefinition(Health), "Health");

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function closeLater(service: Service): Service {
  closers.push(() => service.close());
  return service;
}

/** What a prober sees: both pages' status codes, the reason, and health of both names. */
function prober({ probesAddress, addresses }: Service) {
  const client = new HealthClient(addresses[0] ?? "", credentials.createInsecure(), {
    "grpc.enable_http_proxy": 0,
  }) as unknown as HealthClient;
  closers.push(() => client.close());
  const health = (service: string) =>
    new Promise((resolve, reject) => {
      client.check(create(HealthCheckRequestSchema, { service }), (error, answer) =>
        error === null ? resolve(ServingStatus[answer?.status ?? 0]) : reject(error),
      );
    });
  return async () => {
    const live = await fetch(`http://${probesAddress}/livez`);
    const ready = await fetch(`http://${probesAddress}/readyz`);
    return {
      live: live.status,
      ready: [ready.status, await ready.text()],
      health: [await health(""), await health(AggregatorService.typeName)],
    };
  };
}

const ready = { live: 200, ready: [200, "ok\n"], health: ["SERVING", "SERVING"] };
const notReady = (reason: string) => ({
  live: 200,
  ready: [503, `${reason}\n`],
  health: ["NOT_SERVING", "NOT_SERVING"],
});

test("a service without a prover is alive, and says why it is not ready", async () => {
  const neverReady = () =>
    Object.assign(new Gate().startProver(), { ready: new Promise<never>(() => undefined) });
  const service = closeLater(await listenTestService(neverReady));
  expect(await prober(service)()).toEqual(notReady("device cpu is starting"));
  const [server = ""] = service.addresses;
  const terminal = fakeTerminal();
  expect(await healthCommand({ server }, terminal)).toBe(1);
  expect(await healthCommand({ server, live: true }, terminal)).toBe(0);
  expect(terminal.stdout).toBe("NOT_SERVING\nNOT_SERVING\n");
});

test("a saturated service is ready; a draining one is alive, and says that it drains", async () => {
  const gate = new Gate();
  gate.shut();
  closers.push(() => gate.open());
  const service = closeLater(await startTestService(gate.startProver, { drainMs: 60_000 }));
  const probe = prober(service);
  expect(await probe()).toEqual(ready);

  const client = clientOver(service, "gRPC");
  for (const name of ["first", "second", "third"]) {
    const groups = [inventedGroup(0), inventedGroup(1)];
    await client.submitSnapshot({
      node: nodeFor("readiness", name),
      snapshot: snapshot(100, groups),
    });
  }
  expect(await probe()).toEqual(ready);

  const closed = service.close();
  expect(await probe()).toEqual(notReady("draining"));
  gate.open();
  await closed;
});

test("a prover that the system refuses to start is tried again, and the reason is shown", async () => {
  const gate = new Gate();
  let starts = 0;
  const service = closeLater(
    await listenTestService(() => {
      starts++;
      if (starts === 1) throw new Error("no memory is left (spawn ENOMEM)");
      return gate.startProver();
    }),
  );
  await expect
    .poll(async () => (await prober(service)()).ready[1], { timeout: 5000 })
    .toContain("no memory is left (spawn ENOMEM)");
  await service.ready();
  expect(starts).toBe(2);
});
