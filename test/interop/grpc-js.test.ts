/** A plain grpc-js client that loads the proto file itself: nothing of it is ours. */
import { credentials, makeGenericClientConstructor, status } from "@grpc/grpc-js";
import type {
  CallOptions,
  ClientReadableStream,
  requestCallback,
  ServiceDefinition,
  ServiceError,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startFakeProver } from "../../server/prover/fake/fake.js";
import { limits } from "../../server/limits.js";
import type { Service } from "../../server/service.js";
import { PARTICIPANTS_BASE64, submitSnapshotJson } from "../helpers/interop-json.js";
import { PROTO_FILE, PROTO_ROOT } from "./interop-tools.js";
import { startTestService } from "../helpers/start-service.js";

interface Event {
  event: "opened" | "sending" | "outcome" | "summary";
}
interface Submitted {
  accepted: { requestId: string; deadlineSource: string } | null;
}
interface PlainClient {
  submitSnapshot(
    request: unknown,
    options: CallOptions,
    callback: requestCallback<Submitted>,
  ): void;
  streamResults(request: unknown): ClientReadableStream<Event>;
  close(): void;
}

function connect(address: string): PlainClient {
  const definition = loadSync(PROTO_FILE, {
    includeDirs: [PROTO_ROOT],
    longs: String,
    enums: String,
    bytes: String,
    defaults: true,
    oneofs: true,
  });
  const methods = definition["lean.aggregator.v1.AggregatorService"] as ServiceDefinition;
  const PlainClient = makeGenericClientConstructor(methods, "AggregatorService");
  const options = { "grpc.enable_http_proxy": 0 };
  return new PlainClient(address, credentials.createInsecure(), options) as unknown as PlainClient;
}

/** Opens a stream; resolves with it once the server's first message, or its refusal, is there. */
function open(client: PlainClient, request: unknown) {
  return new Promise<ClientReadableStream<Event>>((resolve, reject) => {
    const stream = client.streamResults(request);
    stream.once("data", () => resolve(stream));
    stream.on("error", reject);
  });
}

/** Cancels a stream; resolves with the status that its reader gets. */
function cancel(stream: ClientReadableStream<Event>) {
  return new Promise<number>((resolve) => {
    stream.on("error", ({ code }: ServiceError) => resolve(code));
    stream.cancel();
  });
}

describe("grpc-js with proto-loader", () => {
  let service: Service;
  let client: PlainClient;
  beforeAll(async () => {
    service = await startTestService(() =>
      startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
    );
    client = connect(service.addresses[0] ?? "");
  });
  afterAll(async () => {
    client.close();
    await service.close();
  });

  test("submits and streams the request's events to its summary", async () => {
    const request: unknown = JSON.parse(submitSnapshotJson("grpc-js"));
    const submitted = await new Promise<Submitted | undefined>((resolve, reject) => {
      client.submitSnapshot(request, { deadline: Date.now() + 20_000 }, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
    });
    expect(submitted?.accepted?.deadlineSource).toBe("DEADLINE_SOURCE_CALL");
    const requestId = submitted?.accepted?.requestId ?? "";
    const node = { nodeId: "grpc-js" };
    const events: Event[] = [];
    const asked = { node, awaited: [{ requestId }], awaitedOnly: true };
    for await (const event of client.streamResults(asked)) events.push(event as Event);
    expect(events).toMatchObject([
      { event: "opened" },
      { event: "sending" },
      {
        event: "outcome",
        outcome: { requestId, status: "OUTCOME_STATUS_PROVED", participants: PARTICIPANTS_BASE64 },
      },
      { event: "summary", summary: { requestId, proved: 1 } },
    ]);
  });

  test("cancelling streams leaves none open: the node may open as many again", async () => {
    const request = { node: { nodeId: "grpc-js-streams" } };
    const fill = () =>
      Promise.all(Array.from({ length: limits.streamsPerNodeMax }, () => open(client, request)));
    const refused = { code: status.RESOURCE_EXHAUSTED };
    const streams = await fill();
    await expect(open(client, request)).rejects.toMatchObject(refused);
    expect(new Set(await Promise.all(streams.map(cancel)))).toEqual(new Set([status.CANCELLED]));

    // The server learns of a cancellation a little later than its caller; each try is a round trip.
    const again: ClientReadableStream<Event>[] = [];
    for (let tries = 0; again.length < limits.streamsPerNodeMax && tries < 1000; tries++) {
      await open(client, request).then(
        (stream) => again.push(stream),
        (error: unknown) => expect(error).toMatchObject(refused),
      );
    }
    expect(again).toHaveLength(limits.streamsPerNodeMax);
    await expect(open(client, request)).rejects.toMatchObject(refused);
    await Promise.all(again.map(cancel));
  });
});
