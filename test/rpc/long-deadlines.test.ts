/** Deadlines of calls that mean none: beyond 24.8 days, where Node's timers end at once. */
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AggregatorClient } from "../../client/index.js";
import {
  DeadlineSource,
  StreamResultsRequestSchema,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Service } from "../../server/service.js";
import { clientOver, Gate, inventedGroup, nodeFor } from "../../tools/harness/wire/contract.js";
import { frame, pathOf, RawClient } from "../../tools/harness/wire/raw-grpc.js";
import { snapshot } from "../../tools/harness/vectors.js";
import { startTestService } from "../helpers/start-service.js";

const LONG = ["596H", "597H", "720H", "8760H", "31536000S", "99999999H"];

let service: Service;
beforeAll(async () => {
  service = await startTestService(new Gate().startProver);
});
afterAll(() => service.close());

const nodes = () => service.addresses[0] ?? "";
const follow = create(StreamResultsRequestSchema, { node: { nodeId: "n" } });
const FOLLOW = frame(toBinary(StreamResultsRequestSchema, follow));
const EMPTY = frame(new Uint8Array());

test.each([
  ["AggregatorService/StreamResults", nodes, pathOf("StreamResults"), FOLLOW],
  ["Health/Watch", nodes, "/grpc.health.v1.Health/Watch", EMPTY],
  [
    "Health/Watch of the operator",
    () => service.operatorAddress ?? "",
    "/grpc.health.v1.Health/Watch",
    EMPTY,
  ],
])("a stream of %s with a long deadline stays open", async (_name, at, path, body) => {
  const client = new RawClient(at());
  for (const timeout of LONG) {
    const call = client.call(path, { "grpc-timeout": timeout });
    let isClosed = false;
    call.stream.once("close", () => (isClosed = true));
    call.stream.end(body);
    await new Promise((resolve) => call.stream.once("data", resolve));
    // A timer that has fired at once would have ended the stream by now.
    await client.ping();
    await client.ping();
    expect(isClosed, timeout).toBe(false);
    call.stream.close();
  }
  client.close();
});

test.each([
  [nodes, pathOf("GetServerInfo")],
  [nodes, "/grpc.health.v1.Health/Check"],
  [() => service.operatorAddress ?? "", "/lean.aggregator.admin.v1.AdminService/ListProvers"],
])("a single call with a long deadline is answered", async (at, path) => {
  const client = new RawClient(at());
  for (const timeout of LONG) {
    const { code } = await client.call(path, { "grpc-timeout": timeout }).end(EMPTY);
    expect(code, timeout).toBe(0);
  }
  client.close();
});

describe("a snapshot whose call has a deadline", () => {
  test.each(["gRPC", "gRPC-Web, HTTP/1.1", "Connect, HTTP/1.1", "Connect/JSON, HTTP/1.1"])(
    "of 30 days gets the service's own, over %s",
    async (protocol) => {
      const client = clientOver(service, protocol);
      // As headers: with an option, connect-es's own timer would end the call at once.
      const submit = async (hours: number, name: string) => {
        const headers = {
          "grpc-timeout": `${hours}H`,
          "connect-timeout-ms": String(hours * 3_600_000),
        };
        const request = {
          node: nodeFor(`long-${protocol.replace(/\W/g, "")}`, name),
          snapshot: snapshot(100, [inventedGroup(0)]),
        };
        const { result } = await client.submitSnapshot(request, { headers });
        return result.case === "accepted" ? result.value.deadlineSource : result;
      };
      expect(await submit(720, "long")).toBe(DeadlineSource.SERVER);
      expect(await submit(12, "short")).toBe(DeadlineSource.CALL);
    },
  );
});

test.each([30 * 24 * 3_600_000, 99_999_999.5, 1e18, Infinity])(
  "the client takes a timeout of %d ms",
  async (timeoutMs) => {
    const client = new AggregatorClient({ address: nodes() });
    const info = await client.getServerInfo({}, { timeoutMs });
    expect(info.serverVersion).toBe("test");
    client.close();
  },
);

test("the client refuses a timeout that is no number", async () => {
  const client = new AggregatorClient({ address: nodes() });
  await expect(client.getServerInfo({}, { timeoutMs: NaN })).rejects.toMatchObject({
    kind: "invalid_argument",
    message: "timeoutMs is NaN, expected milliseconds",
  });
  client.close();
});
