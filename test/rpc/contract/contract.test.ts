/** One contract over every protocol: proofs, streams, deadlines. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  DeadlineSource,
  OutcomeStatus,
  StreamResultsResponseSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type {
  StreamResultsRequestSchema,
  StreamResultsResponse,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Service } from "../../../server/service.js";
import {
  clientOver,
  Gate,
  inventedData,
  inventedGroup,
  nodeFor,
  outcomesOf,
  requestIdOf,
  protocolNames,
} from "../../../tools/harness/wire/contract.js";
import type { AggregatorClient } from "../../../tools/harness/wire/contract.js";
import { startTestService } from "../../helpers/start-service.js";
import { publicKey, snapshot } from "../../../tools/harness/vectors.js";

let service: Service;
beforeAll(async () => {
  service = await startTestService(new Gate().startProver);
});
afterAll(() => service.close());

type Open = (signal: AbortSignal) => AsyncIterable<StreamResultsResponse>;

/** Reads a stream to its end, or so many events of it. */
async function read(open: Open, count = Infinity): Promise<StreamResultsResponse[]> {
  const abort = new AbortController();
  const events: StreamResultsResponse[] = [];
  try {
    for await (const event of open(abort.signal)) if (events.push(event) >= count) break;
  } finally {
    // Leaving the loop alone would not reach the server.
    abort.abort();
  }
  return events;
}

/** What a reader that has `head` of `whole` awaits: each request without its summary. */
function awaitedAfter(head: StreamResultsResponse[], whole: StreamResultsResponse[]) {
  const idOf = ({ event }: StreamResultsResponse) =>
    event.case === "outcome" || event.case === "summary" ? event.value.requestId : "";
  const ended = new Set(head.filter(({ event }) => event.case === "summary").map(idOf));
  const open = new Set(whole.map(idOf).filter((requestId) => !ended.has(requestId)));
  return [...open].map((requestId) => ({
    requestId,
    receivedGroups: head.flatMap(({ event }) =>
      event.case === "outcome" && event.value.requestId === requestId
        ? [event.value.groupIndex]
        : [],
    ),
  }));
}

describe.each(protocolNames)("over %s", (protocol) => {
  let client: AggregatorClient;
  beforeAll(() => {
    client = clientOver(service, protocol);
  });
  const results = (request: MessageInitShape<typeof StreamResultsRequestSchema>, count?: number) =>
    read((signal) => client.streamResults(request, { signal }), count);

  test("a good group is proved, its participants exact and its proof valid", async () => {
    const node = nodeFor(protocol, "proved");
    const [outcome] = await outcomesOf(client, node, [inventedGroup(0)]);
    expect(outcome).toMatchObject({
      status: OutcomeStatus.PROVED,
      fake: true,
      attempt: 1,
      participants: new Uint8Array([3]),
    });
    const verify = { node, data: inventedData(0), proof: outcome?.proof ?? new Uint8Array() };
    const exact = await client.verifyAggregate({
      ...verify,
      publicKeys: [publicKey(0), publicKey(1)],
    });
    expect(exact.valid).toBe(true);
    const fewer = await client.verifyAggregate({ ...verify, publicKeys: [publicKey(0)] });
    expect(fewer.valid).toBe(false);
  });

  test("a stream opens, gives what is missing and then what comes", async () => {
    const node = nodeFor(protocol, "stream");
    const request = { node, snapshot: snapshot(100, [inventedGroup(0)]) };
    const requestId = requestIdOf(await client.submitSnapshot(request));
    const [, ...events] = await results({ node, awaited: [{ requestId }] }, 4);
    expect(events.map(({ event }) => event.case)).toEqual(["sending", "outcome", "summary"]);
    const [sending, outcome] = events;
    const event = outcome?.event ?? { case: undefined };
    const bytes = toBinary(
      StreamResultsResponseSchema,
      create(StreamResultsResponseSchema, { event }),
    );
    expect(sending?.event.value).toMatchObject({ bytes: bytes.length });
  });

  test("a stream resumed anywhere gives what one without a break would have given", async () => {
    const node = nodeFor(protocol, "resume");
    for (let done = 0; done < 3; done++) {
      await outcomesOf(client, node, [inventedGroup(0), inventedGroup(1)]);
    }
    const isResult = ({ event }: StreamResultsResponse) =>
      event.case === "outcome" || event.case === "summary";
    const all = await results({ node, retained: true, noFollow: true });
    const whole = all.filter(isResult);
    expect(whole).toHaveLength(9);
    for (let cut = 1; cut <= all.length; cut++) {
      const head = (await results({ node, retained: true }, cut)).filter(isResult);
      const rest = await results({ node, awaited: awaitedAfter(head, whole), noFollow: true });
      expect([...head, ...rest.filter(isResult)]).toEqual(whole);
    }
  });

  test("the call's deadline is the budget where the request has none", async () => {
    const node = nodeFor(protocol, "deadline");
    const request = { node, snapshot: snapshot(100, [inventedGroup(0)]) };
    const { result } = await client.submitSnapshot(request, { timeoutMs: 3000 });
    expect(result).toMatchObject({
      case: "accepted",
      value: { deadlineSource: DeadlineSource.CALL },
    });
    const deadlineMs = result.case === "accepted" ? result.value.deadlineMs : 0;
    expect(deadlineMs).toBeGreaterThan(2000);
    expect(deadlineMs).toBeLessThanOrEqual(3000);
  });

  test("a call with a deadline of ten minutes is answered", async () => {
    const node = nodeFor(protocol, "long deadline");
    const request = { node, snapshot: snapshot(100, [inventedGroup(0)]) };
    const { result } = await client.submitSnapshot(request, { timeoutMs: 600_000 });
    expect(result).toMatchObject({ case: "accepted", value: { deadlineMs: 6400 } });
  });
});
