/** The standard health service, asked by grpc-js and over Connect. */
import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Client, credentials, status } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { HealthCheckResponse } from "../../../proto/gen/grpc/health/v1/health_pb.js";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../proto/gen/grpc/health/v1/health_pb.js";
import { AggregatorService } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { grpcMethodDefinition } from "../../../tools/harness/wire/grpc-js.js";
import type { BareServer } from "../../../tools/harness/wire/bare-server.js";
import { startBareServer } from "../../../tools/harness/wire/bare-server.js";

let bare: BareServer;
beforeEach(async () => {
  bare = await startBareServer();
});
afterEach(() => bare.close());

describe("over Connect, HTTP/1.1", () => {
  const health = () =>
    createClient(
      Health,
      createConnectTransport({ baseUrl: `http://${bare.address}`, httpVersion: "1.1" }),
    );

  test("the server and its service have the status that was set", async () => {
    for (const service of ["", AggregatorService.typeName]) {
      expect((await health().check({ service })).status).toBe(Status.NOT_SERVING);
    }
    bare.server.setServing(true);
    for (const service of ["", AggregatorService.typeName]) {
      expect((await health().check({ service })).status).toBe(Status.SERVING);
    }
    const { statuses } = await health().list({});
    expect(Object.keys(statuses)).toEqual(["", AggregatorService.typeName]);
  });

  test("a service that is not here is not found", async () => {
    const refusal = await health()
      .check({ service: "no.such.Service" })
      .catch((error: unknown) => ConnectError.from(error));
    expect(refusal).toMatchObject({ code: Code.NotFound });
  });
});

describe("a watch by grpc-js", () => {
  let client: Client;
  beforeEach(() => {
    client = new Client(bare.address, credentials.createInsecure());
  });
  afterEach(() => client.close());

  function watch(service: string) {
    const { path, requestSerialize, responseDeserialize } = grpcMethodDefinition(
      Health.method.watch,
    );
    const request = create(HealthCheckRequestSchema, { service });
    return client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
  }
  async function next(call: ReturnType<typeof watch>): Promise<Status> {
    const [answer] = (await once(call, "data")) as [HealthCheckResponse];
    return answer.status;
  }

  test("gets the status and each change, and ends when the server closes", async () => {
    const call = watch(AggregatorService.typeName);
    expect(await next(call)).toBe(Status.NOT_SERVING);
    for (const isServing of [true, false, true]) {
      const changed = next(call);
      bare.server.setServing(isServing);
      expect(await changed).toBe(isServing ? Status.SERVING : Status.NOT_SERVING);
    }
    const ended = once(call, "end");
    await bare.server.close(5000);
    await ended;
  });

  test("of a service that is not here goes on, and says so", async () => {
    const call = watch("no.such.Service");
    expect(await next(call)).toBe(Status.SERVICE_UNKNOWN);
    const cancelled = once(call, "error");
    call.cancel();
    expect(await cancelled).toMatchObject([{ code: status.CANCELLED }]);
    await bare.memory.reaches(0);
  });
});
