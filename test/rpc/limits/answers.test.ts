/** Answers count as held until their callers have taken them, for a bounded time. */
import { connect } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterEach, describe, expect, test } from "vitest";
import {
  GetSessionRequestSchema,
  GetSessionResponseSchema,
  SubmitSnapshotRequestSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../../server/limits.js";
import type { Calls } from "../../../server/rpc/handlers.js";
import { HeldClock, startBareServer } from "../../../tools/harness/wire/bare-server.js";
import { clientOver, Gate, requestIdOf } from "../../../tools/harness/wire/contract.js";
import { frame, pathOf, RawClient } from "../../../tools/harness/wire/raw-grpc.js";
import { heldOnceEnded } from "../../helpers/held-bytes.js";
import { startTestService } from "../../helpers/start-service.js";
import { dataOf, snapshot } from "../../../tools/harness/vectors.js";

const RESOURCE_EXHAUSTED = 8;
const BYTES = 512 * 1024;
/** Lets next to nothing of an answer through until it is read. */
const NARROW = { initialWindowSize: 16 };
const EMPTY = frame(new Uint8Array());

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** Answers with so many bytes, and says so before. */
const answering = (bytes: number): Partial<Calls> => ({
  getSession: (_request, { holdAnswer }) => {
    holdAnswer(bytes);
    const outcomes = [{ proof: new Uint8Array(bytes) }];
    return Promise.resolve(create(GetSessionResponseSchema, { session: { outcomes } }));
  },
});

describe("an answer", () => {
  /** Bytes that a small request holds after it was read. */
  const request = limits.callBytes;

  async function start(options: { bytesMax?: number; calls?: Partial<Calls> } = {}) {
    const clock = new HeldClock();
    const bare = await startBareServer({ clock, calls: answering(BYTES), ...options });
    closers.push(() => bare.close());
    const ask = () => {
      const client = new RawClient(bare.address, NARROW);
      closers.push(() => client.close());
      const call = client.call("GetSession");
      call.stream.end(EMPTY);
      return { client, call };
    };
    return { ...bare, clock, ask };
  }

  test("an answer that is not read is held until it is, and nothing of it after", async () => {
    const { memory, ask } = await start();
    const { client, call } = ask();
    await memory.reaches(request + BYTES);
    client.session.settings({ initialWindowSize: 2 * BYTES });
    call.stream.resume();
    expect((await call.status).code).toBe(0);
    await memory.reaches(0);
  });

  test("a client that does not read an answer in time is cut, and its bytes are released", async () => {
    const { memory, clock, ask } = await start();
    const { call } = ask();
    await memory.reaches(request + BYTES);
    clock.skip(limits.answerTakeMsMax);
    call.stream.resume();
    await expect(call.status).rejects.toThrow("without a status");
    await memory.reaches(0);
  });

  test("a request that is answered is let go, and an answer that is not read is cut in time", async () => {
    const { address, memory, clock } = await start();
    const client = new RawClient(address, { initialWindowSize: 0 });
    closers.push(() => client.close());
    const call = client.call("SubmitSnapshot");
    const large = create(SubmitSnapshotRequestSchema, { requestId: "x".repeat(BYTES) });
    call.stream.end(frame(toBinary(SubmitSnapshotRequestSchema, large)));
    await memory.reaches(request);
    clock.skip(limits.answerTakeMsMax);
    call.stream.resume();
    await expect(call.status).rejects.toThrow("without a status");
    await memory.reaches(0);
  });

  test("answers take a quarter of the budget at most: one more is refused, snapshots are not", async () => {
    const { memory, ask } = await start({ bytesMax: 4 * BYTES });
    const { client, call } = ask();
    await memory.reaches(request + BYTES);
    const second = ask().call;
    second.stream.resume();
    expect(await second.status).toEqual({
      code: RESOURCE_EXHAUSTED,
      message: "overloaded: no memory is free for this answer",
    });
    expect((await client.call("SubmitSnapshot").end(EMPTY)).code).toBe(0);
    client.session.settings({ initialWindowSize: 2 * BYTES });
    call.stream.resume();
    expect((await call.status).code).toBe(0);
    await memory.reaches(0);
    ask();
    await memory.reaches(request + BYTES);
  });

  test("a caller that left before its answer was made holds nothing, and leaves no timer", async () => {
    let answered = () => {};
    const hasAnswered = new Promise<void>((resolve) => (answered = resolve));
    let asked = () => {};
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    const getSession: Calls["getSession"] = async (_request, { signal, holdAnswer }) => {
      const gone = new Promise((resolve) => signal.addEventListener("abort", resolve));
      asked();
      await gone;
      holdAnswer(BYTES);
      answered();
      return create(GetSessionResponseSchema);
    };
    const { memory, clock, ask } = await start({ calls: { getSession } });
    const { client } = ask();
    await isAsked;
    client.close();
    await hasAnswered;
    await memory.reaches(0);
    await expect.poll(() => clock.pending).toBe(0);
  });
});

test("over HTTP/1.1 too: an answer that stays in the way is cut in time", async () => {
  const clock = new HeldClock();
  // More than both ends' sockets take by themselves.
  const bytes = 30 * 1024 * 1024;
  const bare = await startBareServer({ clock, calls: answering(bytes) });
  closers.push(() => bare.close());
  const [host = "", port] = bare.address.split(":");
  const socket = connect({ host, port: Number(port) });
  closers.push(() => socket.destroy());
  const head = ["content-type: application/proto", "content-length: 0", `host: ${host}`];
  socket.write(`POST ${pathOf("GetSession")} HTTP/1.1\r\n${head.join("\r\n")}\r\n\r\n`);
  await bare.memory.reaches(limits.callBytes + bytes);
  clock.skip(limits.answerTakeMsMax);
  await bare.memory.reaches(0);
});

test.each(["GetSession", "CancelSession"])(
  "%s holds memory for what it returns",
  async (method) => {
    const INPUTS = 1000;
    const service = await startTestService(new Gate().startProver);
    closers.push(() => service.close());
    const heldBytes = async () => (await service.metrics.heldBytes.get()).values[0]?.value;
    const signature = new Uint8Array(64);
    const rawSignatures = Array.from({ length: INPUTS }, (_, at) => ({
      validatorIndex: at,
      signature,
    }));
    const node = { nodeId: "node" };
    const client = clientOver(service, "gRPC");
    const group = { data: dataOf(0), rawSignatures };
    const requestId = requestIdOf(
      await client.submitSnapshot({ node, snapshot: snapshot(100, [group], []) }),
    );
    await client.getSession({ node, requestId, waitMs: 5000 });
    const ended = heldOnceEnded(1, 1, INPUTS);
    await expect.poll(heldBytes).toBe(ended);

    const raw = new RawClient(service.addresses[0] ?? "", NARROW);
    closers.push(() => raw.close());
    // Both requests have these fields under the same numbers.
    const bytes = toBinary(
      GetSessionRequestSchema,
      create(GetSessionRequestSchema, { node, requestId }),
    );
    raw.call(method).stream.end(frame(bytes));
    await expect.poll(heldBytes).toBeGreaterThanOrEqual(2 * ended);
    raw.close();
    await expect.poll(heldBytes).toBe(ended);
  },
);
