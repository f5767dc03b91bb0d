/** The other calls: the first byte says which, the rest is its request. */
import type { DescMessage } from "@bufbuild/protobuf";
import {
  CancelSessionRequestSchema,
  GetSessionRequestSchema,
  StreamResultsRequestSchema,
  VerifyAggregateRequestSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { dataOf, publicKey } from "../../harness/vectors.js";
import { callInput, callOf, mutateCall } from "../call-input.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";
import { decodeRequest, InProcess } from "../in-process.js";
import { checkRefusal } from "../refusals.js";
import { encoded, node } from "../seeds.js";

const RUNS_A_SERVICE = 200;
/** Past this a stream goes on for ever: the log is empty. */
const EVENTS_MAX = 10;

interface Call {
  schema: DescMessage;
  run(service: InProcess, bytes: Uint8Array): Promise<unknown>;
}

const calls: Call[] = [
  {
    schema: GetSessionRequestSchema,
    run: async (service, bytes) => {
      const request = decodeRequest(GetSessionRequestSchema, bytes);
      return service.handlers.getSession(request, service.context());
    },
  },
  {
    schema: CancelSessionRequestSchema,
    run: async (service, bytes) => {
      const request = decodeRequest(CancelSessionRequestSchema, bytes);
      return service.handlers.cancelSession(request, service.context());
    },
  },
  {
    schema: StreamResultsRequestSchema,
    run: async (service, bytes) => {
      const request = decodeRequest(StreamResultsRequestSchema, bytes);
      let events = 0;
      for await (const { event } of service.handlers.streamResults(
        request,
        service.context(true),
      )) {
        holds(event.case !== undefined, "an event is of some kind");
        holds(events > 0 || event.case === "opened", "a stream says first that it is open");
        holds(++events < EVENTS_MAX, "a stream that drains ends");
      }
    },
  },
  {
    schema: VerifyAggregateRequestSchema,
    run: async (service, bytes) => {
      const request = decodeRequest(VerifyAggregateRequestSchema, bytes);
      const { valid, detail } = await service.handlers.verifyAggregate(request, service.context());
      holds(valid !== (detail !== ""), "what does not verify says so");
    },
  },
];

const kinds = [
  "invalid_argument",
  "failed_precondition",
  "not_found",
  "resource_exhausted",
  "unavailable",
  "unimplemented",
] as const;

export const target: FuzzTarget = {
  name: "calls",
  bytesMax: 16 * 1024,
  msMax: 50,
  msPerKb: 5,
  seeds: () =>
    [
      encoded(GetSessionRequestSchema, { node, requestId: "0123456789abcdef", waitMs: 10 }),
      encoded(CancelSessionRequestSchema, { node, requestId: "a", groupIndices: [0, 1] }),
      encoded(StreamResultsRequestSchema, { node, retained: true, noFollow: true }),
      encoded(VerifyAggregateRequestSchema, {
        node,
        data: dataOf(0),
        publicKeys: [publicKey(0), publicKey(1)],
        proof: new Uint8Array(40),
        proofSystem: { scheme: "fake" },
      }),
    ].map((request, at) => callInput(at, request)),
  mutate: (input, random) => mutateCall(calls, input, random),
  open: async () => {
    let service = await InProcess.start();
    let runs = 0;
    return {
      run: async (input) => {
        if (++runs % RUNS_A_SERVICE === 0) {
          await service.close();
          service = await InProcess.start();
        }
        const { run } = callOf(calls, input);
        await run(service, input.subarray(1)).catch((error: unknown) => checkRefusal(error, kinds));
        holds(service.memory.heldBytes === 0, "a call holds nothing once it has ended");
      },
      close: () => service.close(),
    };
  },
};
