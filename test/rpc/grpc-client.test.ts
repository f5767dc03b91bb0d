/** What grpc-js, an independent peer, expects of a gRPC server. */
import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import type { ServiceError } from "@grpc/grpc-js";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { GetSessionResponse } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  AggregatorService,
  GetSessionRequestSchema,
  GetSessionResponseSchema,
  StreamResultsRequestSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { grpcMethodDefinition } from "../../tools/harness/wire/grpc-js.js";
import { invalid } from "../../server/errors.js";
import type { CallContext } from "../../server/rpc/call/call-context.js";
import type { BareServer } from "../../tools/harness/wire/bare-server.js";
import { startBareServer } from "../../tools/harness/wire/bare-server.js";

/** Every character that is encoded in one place or another. */
const MESSAGE = `field: a/b?c=d&e "f" 100% <g> é 😀 #,;@+$'`;

let bare: BareServer;
let client: Client;
/** What the handler does; it gets the call. */
let answer: (call: CallContext) => Promise<GetSessionResponse>;
beforeEach(async () => {
  answer = () => Promise.resolve(create(GetSessionResponseSchema));
  bare = await startBareServer({
    calls: {
      getSession: (_request, call) => answer(call),
      streamResults: async function* (_request, { signal }) {
        await once(signal, "abort");
        yield* [];
      },
    },
  });
  client = new Client(bare.address, credentials.createInsecure());
});
afterEach(async () => {
  client.close();
  await bare.close();
});

function getSession(metadata = new Metadata(), deadlineMs = 5000) {
  const { path, requestSerialize, responseDeserialize } = grpcMethodDefinition(
    AggregatorService.method.getSession,
  );
  let cancel = () => {};
  const ended = new Promise<ServiceError | null>((resolve) => {
    const call = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      create(GetSessionRequestSchema),
      metadata,
      { deadline: Date.now() + deadlineMs },
      resolve,
    );
    cancel = () => call.cancel();
  });
  return { ended, cancel };
}

test("ASCII and binary metadata, repeated too, are accepted", async () => {
  const metadata = new Metadata();
  metadata.add("x-text", "some text");
  metadata.add("x-text", "more text");
  metadata.add("x-data-bin", Buffer.from([0, 1, 254, 255]));
  expect(await getSession(metadata).ended).toBeNull();
});

test("a refusal's message arrives as it was written", async () => {
  answer = () => Promise.reject(invalid("", MESSAGE));
  expect(await getSession().ended).toMatchObject({
    code: status.INVALID_ARGUMENT,
    details: MESSAGE,
  });
});

test("a call that fails in an unexpected way is internal, and nothing more is said", async () => {
  answer = () => Promise.reject(new Error("a secret"));
  expect(await getSession().ended).toMatchObject({
    code: status.INTERNAL,
    details: "internal error",
  });
});

test("a cancelled call aborts its handler, and what it held is released", async () => {
  let abort = () => {};
  const aborted = new Promise<void>((resolve) => (abort = resolve));
  let call = { cancel: () => {} };
  answer = async ({ signal }) => {
    call.cancel();
    await once(signal, "abort");
    abort();
    return create(GetSessionResponseSchema);
  };
  const { ended, cancel } = getSession();
  call = { cancel };
  expect(await ended).toMatchObject({ code: status.CANCELLED });
  await aborted;
  await bare.memory.reaches(0);
});

test("a call past its deadline aborts its handler, streams included", async () => {
  let isAborted = false;
  answer = async ({ signal, callDeadlineMs }) => {
    expect(callDeadlineMs).toBeLessThanOrEqual(50);
    await once(signal, "abort");
    isAborted = true;
    return create(GetSessionResponseSchema);
  };
  expect(await getSession(undefined, 50).ended).toMatchObject({ code: status.DEADLINE_EXCEEDED });
  await expect.poll(() => isAborted).toBe(true);

  const { path, requestSerialize, responseDeserialize } = grpcMethodDefinition(
    AggregatorService.method.streamResults,
  );
  const request = create(StreamResultsRequestSchema);
  const deadline = Date.now() + 50;
  const stream = client.makeServerStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    request,
    { deadline },
  );
  const [error] = (await once(stream.resume(), "error")) as [ServiceError];
  expect(error.code).toBe(status.DEADLINE_EXCEEDED);
  await bare.memory.reaches(0);
});
