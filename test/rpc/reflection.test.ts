/** Server reflection: what a tool such as grpcurl asks to learn the services. */
import { create, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
} from "../../proto/gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as AlphaReflection } from "../../proto/gen/grpc/reflection/v1alpha/reflection_pb.js";
import {
  AggregatorService,
  file_lean_aggregator_v1_aggregator,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { Reflection } from "../../server/rpc/reflection.js";
import type { BareServer } from "../../tools/harness/wire/bare-server.js";
import { HeldClock, startBareServer } from "../../tools/harness/wire/bare-server.js";
import { RawClient } from "../../tools/harness/wire/raw-grpc.js";

let bare: BareServer;
beforeAll(async () => {
  bare = await startBareServer();
});
afterAll(() => bare.close());

const SERVICE = AggregatorService.typeName;
const FILE = "lean/aggregator/v1/aggregator.proto";
type Ask = { case: "fileContainingSymbol" | "fileByFilename"; value: string };

describe.each([
  ["v1", ServerReflection],
  ["v1alpha", AlphaReflection],
] as const)("%s", (_version, service) => {
  /** All answers to these requests, on one stream. */
  async function answers(...requests: (Ask | { case: "listServices"; value: string })[]) {
    const transport = createGrpcTransport({ baseUrl: `http://${bare.address}` });
    const client = createClient<typeof ServerReflection | typeof AlphaReflection>(
      service,
      transport,
    );
    const asked = async function* () {
      for (const messageRequest of requests) yield await Promise.resolve({ messageRequest });
    };
    const all = [];
    for await (const answer of client.serverReflectionInfo(asked())) {
      all.push(answer.messageResponse);
    }
    return all;
  }
  const filesIn = (value: unknown) =>
    (value as { fileDescriptorProto: Uint8Array[] }).fileDescriptorProto.map((bytes) =>
      fromBinary(FileDescriptorProtoSchema, bytes),
    );

  test("lists what is served", async () => {
    const [listed] = await answers({ case: "listServices", value: "" });
    expect(listed).toMatchObject({
      case: "listServicesResponse",
      value: {
        service: [
          { name: SERVICE },
          { name: "grpc.health.v1.Health" },
          { name: "grpc.reflection.v1.ServerReflection" },
          { name: "grpc.reflection.v1alpha.ServerReflection" },
        ],
      },
    });
  });

  test("finds the file of a service, a method, a message, a field, and by name", async () => {
    const symbols = [
      SERVICE,
      `${SERVICE}.GetSession`,
      "lean.aggregator.v1.Outcome",
      "lean.aggregator.v1.Outcome.proof",
    ];
    const asks = symbols.map((value) => ({ case: "fileContainingSymbol", value }) as const);
    for (const { case: kind, value } of await answers(...asks, {
      case: "fileByFilename",
      value: FILE,
    })) {
      expect(kind).toBe("fileDescriptorResponse");
      const [file] = filesIn(value);
      expect(file?.name).toBe(FILE);
      const fields = file?.messageType.flatMap(({ field }) => field) ?? [];
      expect(fields.find(({ name }) => name === "node_id")?.jsonName).toBe("nodeId");
    }
  });

  test("says what is not there, and goes on", async () => {
    const absent = ["", "no.such.Service", `${SERVICE}.NoSuchMethod`, "lean", FILE];
    const asks = absent.map((value) => ({ case: "fileContainingSymbol", value }) as const);
    const all = await answers(...asks, { case: "fileByFilename", value: "no.proto" });
    expect(all).toHaveLength(6);
    for (const answer of all) {
      expect(answer).toMatchObject({ case: "errorResponse", value: { errorCode: 5 } });
    }
  });
});

test("a file is encoded once, and comes once with those that it imports", () => {
  const reflection = new Reflection([file_lean_aggregator_v1_aggregator]);
  const ask = create(ServerReflectionRequestSchema, {
    messageRequest: { case: "fileContainingSymbol", value: SERVICE },
  });
  const [one, two] = [reflection.answer(ask), reflection.answer(ask)].map(({ messageResponse }) =>
    messageResponse.case === "fileDescriptorResponse"
      ? messageResponse.value.fileDescriptorProto
      : [],
  );
  expect(one?.length).toBeGreaterThan(0);
  one?.forEach((bytes, at) => expect(two?.[at]).toBe(bytes));
  const names = one?.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
  expect(new Set(names).size).toBe(names?.length);
});

const PATH = `/${ServerReflection.typeName}/ServerReflectionInfo`;

test("needs HTTP/2", async () => {
  const headers = { "content-type": "application/connect+json" };
  const answer = await fetch(`http://${bare.address}${PATH}`, { method: "POST", headers });
  expect(answer.status).toBe(505);
});

test("a caller that asks nothing is cut off in time, and holds nothing", async () => {
  const clock = new HeldClock();
  const its = await startBareServer({ clock });
  const client = new RawClient(its.address);
  const call = client.call(PATH);
  await its.memory.reaches(64 * 1024);
  await client.ping();
  clock.fireAll();
  await expect(call.status).rejects.toThrow();
  await its.memory.reaches(0);
  client.close();
  await its.close();
});
