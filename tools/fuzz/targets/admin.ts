/** The operator's calls: the first byte says which, the rest is its request. */
import type { DescMessage } from "@bufbuild/protobuf";
import {
  DrainDeviceRequestSchema,
  EndSessionRequestSchema,
  ListProversRequestSchema,
  ListSessionsRequestSchema,
  ProverRole,
  RestartProverRequestSchema,
} from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { callInput, callOf, mutateCall } from "../call-input.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";
import { decodeRequest, InProcess } from "../in-process.js";
import { checkRefusal } from "../refusals.js";
import { encoded } from "../seeds.js";

interface Call {
  schema: DescMessage;
  run(service: InProcess, bytes: Uint8Array): unknown;
}

/** A caller that leaves a turn later: a command is confirmed by then, and nothing waits longer. */
function caller() {
  const gone = new AbortController();
  setImmediate(() => gone.abort());
  const credential = { kind: "loopback" } as const;
  return { principal: "fuzz", credential, signal: gone.signal, draining: gone.signal };
}

const calls: Call[] = [
  {
    schema: DrainDeviceRequestSchema,
    run: async ({ admin }, bytes) => {
      const request = decodeRequest(DrainDeviceRequestSchema, bytes);
      const { device } = await admin.drainDevice(request, caller());
      const { drained = true } = request;
      holds(device?.drained === drained, "a device is drained, or not, as was asked");
    },
  },
  {
    schema: RestartProverRequestSchema,
    run: ({ admin }, bytes) =>
      admin.restartProver(decodeRequest(RestartProverRequestSchema, bytes), caller()),
  },
  {
    schema: EndSessionRequestSchema,
    run: ({ admin }, bytes) =>
      admin.endSession(decodeRequest(EndSessionRequestSchema, bytes), caller()),
  },
  {
    schema: ListProversRequestSchema,
    run: ({ admin }, bytes) => {
      decodeRequest(ListProversRequestSchema, bytes);
      holds(admin.listProvers().devices.length === 1, "there is one device, whatever was asked");
    },
  },
  {
    schema: ListSessionsRequestSchema,
    run: ({ admin }, bytes) => {
      decodeRequest(ListSessionsRequestSchema, bytes);
      holds(admin.listSessions().sessions.length === 0, "there are no sessions");
    },
  },
];

const kinds = ["invalid_argument", "not_found"] as const;

export const target: FuzzTarget = {
  name: "admin",
  bytesMax: 4096,
  msMax: 50,
  msPerKb: 5,
  seeds: () =>
    [
      encoded(DrainDeviceRequestSchema, { deviceId: "cpu", drained: true, waitMs: 10 }),
      encoded(DrainDeviceRequestSchema, { deviceId: "cpu", drained: false }),
      encoded(RestartProverRequestSchema, { deviceId: "cpu", role: ProverRole.ACTIVE }),
      encoded(RestartProverRequestSchema, { deviceId: "cpu", role: ProverRole.STANDBY }),
      encoded(EndSessionRequestSchema, { sessionId: "0123456789abcdef" }),
      encoded(ListProversRequestSchema, {}),
      encoded(ListSessionsRequestSchema, {}),
    ].map((request, at) => callInput([0, 0, 1, 1, 2, 3, 4][at] ?? 0, request)),
  mutate: (input, random) => mutateCall(calls, input, random),
  open: async () => {
    const service = await InProcess.start();
    return {
      run: async (input) => {
        try {
          await callOf(calls, input).run(service, input.subarray(1));
        } catch (error) {
          checkRefusal(error, kinds);
        }
      },
      close: () => service.close(),
    };
  },
};
