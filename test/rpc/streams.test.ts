/** Result streams under slow readers and on drain, by hand-made clients, on both bare. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, describe, expect, test } from "vitest";
import {
  AggregatorService,
  OutcomeReason,
  OutcomeSchema,
  ServiceState,
  StreamResultsRequestSchema,
  StreamResultsResponseSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type {
  Outcome,
  StreamResultsResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { fakeSignature, startFakeProver } from "../../server/prover/fake/fake.js";
import { startBareServer } from "../../tools/harness/wire/bare-server.js";
import { frame, RawClient } from "../../tools/harness/wire/raw-grpc.js";
import type { RawCall } from "../../tools/harness/wire/raw-grpc.js";
import { inventedData } from "../../tools/harness/wire/contract.js";
import { startTestService } from "../helpers/start-service.js";
import { dataOf, groupsOfSlot, publicKey, rootOf, snapshot } from "../../tools/harness/vectors.js";

const PROOF_BYTES = 512 * 1024;
/** Lets next to nothing of a stream through until it is read. */
const NARROW = { initialWindowSize: 16 };

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function open(address: string, nodeId: string): { client: RawClient; call: RawCall } {
  const client = new RawClient(address, NARROW);
  closers.push(() => client.close());
  const call = client.call("StreamResults");
  const request = create(StreamResultsRequestSchema, { node: { nodeId }, retained: true });
  call.stream.end(frame(toBinary(StreamResultsRequestSchema, request)));
  return { client, call };
}

/** Reads to the end; whole events only. */
async function read(call: RawCall): Promise<StreamResultsResponse[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of call.stream) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  const events = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32BE(at + 1);
    const message = bytes.subarray(at + 5, at + 5 + length);
    events.push(fromBinary(StreamResultsResponseSchema, message));
    at += 5 + length;
  }
  return events;
}

describe("a stream", () => {
  test("a reader that does not read holds one event, and then gets every one in order", async () => {
    let given = 0;
    const isEnded = { value: false };
    const bare = await startBareServer({
      calls: {
        async *streamResults() {
          try {
            for (; given < 5; given++) {
              const proof = new Uint8Array(PROOF_BYTES);
              const outcome = create(OutcomeSchema, { groupIndex: given, proof });
              const event = { case: "outcome", value: outcome } as const;
              yield await Promise.resolve(create(StreamResultsResponseSchema, { event }));
            }
          } finally {
            isEnded.value = true;
          }
        },
      },
    });
    closers.push(() => bare.close());
    const { client, call } = open(bare.address, "slow");
    await new Promise((resolve) => call.stream.once("response", resolve));
    // An eager server would fill its buffers meanwhile: it needs no word from us.
    for (let trip = 0; trip < 50; trip++) await client.ping();
    expect(given).toBe(0);
    client.session.settings({ initialWindowSize: 4 * PROOF_BYTES });
    const events = await read(call);
    const groups = events.map(({ event }) => (event.value as Outcome).groupIndex);
    expect(groups).toEqual([0, 1, 2, 3, 4]);
    expect((await call.status).code).toBe(0);
    expect(isEnded.value).toBe(true);
  });

  test("a reader that goes away ends its stream", async () => {
    let ended = () => {};
    const hasEnded = new Promise<void>((resolve) => (ended = resolve));
    const bare = await startBareServer({
      calls: {
        async *streamResults(_request, { signal }) {
          try {
            yield await Promise.resolve(create(StreamResultsResponseSchema));
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
          } finally {
            ended();
          }
        },
      },
    });
    closers.push(() => bare.close());
    const { client, call } = open(bare.address, "gone");
    await new Promise((resolve) => call.stream.once("response", resolve));
    client.close();
    await hasEnded;
    await bare.memory.reaches(0);
  });

  test("many streams at once make Node warn of nothing", async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => void warnings.push(warning);
    process.on("warning", note);
    closers.push(() => process.off("warning", note));
    const service = await startTestService(() =>
      startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
    );
    closers.push(() => service.close());
    const [address = ""] = service.addresses;
    for (let at = 0; at < 20; at++) {
      const { call } = open(address, `node-${at}`);
      await new Promise((resolve) => call.stream.once("response", resolve));
    }
    // A warning is emitted with the next tick.
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings.map(({ message }) => message)).toEqual([]);
  });

  test("an outcome that names many inputs is announced without a proof, a small one is not", async () => {
    const service = await startTestService(() =>
      startFakeProver({ proveMs: () => 1, sleep: () => Promise.resolve() }),
    );
    closers.push(() => service.close());
    const [address = ""] = service.addresses;
    const client = createClient(
      AggregatorService,
      createGrpcTransport({ baseUrl: `http://${address}` }),
    );
    const node = { nodeId: "unknown-keys" };
    const groups = [1000, 1].map((count, at) => ({
      data: inventedData(at),
      rawSignatures: Array.from({ length: count }, (_, validator) => ({
        validatorIndex: 1000 + validator,
        signature: new Uint8Array(64).fill(validator),
      })),
    }));
    const { result } = await client.submitSnapshot({ node, snapshot: snapshot(100, groups) });
    if (result.case !== "accepted") throw new Error("skipped");
    const { requestId } = result.value;
    const events = [];
    const request = { node, awaited: [{ requestId }], awaitedOnly: true };
    for await (const response of client.streamResults(request)) events.push(response);
    const cases = events.map(({ event }) => event.case).filter((each) => each !== "heartbeat");
    expect(cases).toEqual(["opened", "sending", "outcome", "outcome", "summary"]);
    const outcome = events.find(({ event }) => event.case === "outcome");
    expect(outcome?.event.value).toMatchObject({ groupIndex: 0, proof: new Uint8Array() });
    const bytes = outcome && toBinary(StreamResultsResponseSchema, outcome).length;
    expect(bytes).toBeGreaterThan(32 * 1024);
    const sending = events.find(({ event }) => event.case === "sending");
    expect(sending?.event.value).toMatchObject({ bytes });
  });

  test("on drain a slow reader gets all that is logged, what still ran included", async () => {
    const gate = { isOpen: true };
    const service = await startTestService(
      () =>
        startFakeProver({
          proveMs: () => 1,
          sleep: () => (gate.isOpen ? Promise.resolve() : new Promise(() => undefined)),
        }),
      { drainMs: 1 },
    );
    closers.push(() => service.close());
    const [address = ""] = service.addresses;
    const client = createClient(
      AggregatorService,
      createGrpcTransport({ baseUrl: `http://${address}` }),
    );
    const node = { nodeId: "draining" };
    const [group = 0] = groupsOfSlot(100);
    const signature = fakeSignature(publicKey(0), rootOf(group), 100);
    const groups = [{ data: dataOf(group), rawSignatures: [{ validatorIndex: 0, signature }] }];
    const submit = async () => {
      const { result } = await client.submitSnapshot({ node, snapshot: snapshot(100, groups) });
      if (result.case !== "accepted") throw new Error("skipped");
      return result.value.requestId;
    };
    for (let done = 0; done < 5; done++) {
      await client.getSession({ node, requestId: await submit(), waitMs: 5000 });
    }
    gate.isOpen = false;
    await submit();

    const { client: raw, call } = open(address, "draining");
    await new Promise((resolve) => call.stream.once("response", resolve));
    const goaway = new Promise((resolve) => raw.session.once("goaway", resolve));
    const closed = service.close();
    await goaway;
    const events = await read(call);
    expect((await call.status).code).toBe(0);
    const cases = events.map(({ event }) => event.case);
    const proved = Array(5).fill(["sending", "outcome", "summary"]).flat() as string[];
    // The status changes at once, and what still ran ends later.
    expect(cases).toEqual(["opened", ...proved, "status", "outcome", "summary"]);
    expect(events.at(-2)?.event.value).toMatchObject({ reason: OutcomeReason.DRAINING });
    expect(events.at(-3)?.event.value).toMatchObject({ state: ServiceState.DRAINING });
    await closed;
  });
});
