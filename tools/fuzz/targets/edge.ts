/**
 * Bodies of calls, over a socket: answered in the caller's protocol with a status
 * that is no fault of the server's, and no memory is kept. The first byte says which call it is.
 */
import { Agent, request as httpRequest } from "node:http";
import { toJson } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import { SubmitSnapshotRequestSchema } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { startBareServer } from "../../harness/wire/bare-server.js";
import { frame, pathOf } from "../../harness/wire/raw-grpc.js";
import { mutateBytes } from "../engine/mutate-bytes.js";
import { protobufMutator } from "../engine/mutate-protobuf.js";
import { mutateValue } from "../engine/mutate-value.js";
import type { FuzzTarget } from "../engine/target.js";
import { holds } from "../engine/target.js";
import { submitRequests } from "../seeds.js";

const JSON_TYPE = "application/json";
const types = [
  JSON_TYPE,
  "application/proto",
  "application/grpc-web+proto",
  "application/grpc-web+json",
];
const typeOf = ([first = 0]: Uint8Array) => types[first % types.length] ?? JSON_TYPE;
/** HTTP makes no difference of case, and a type may have parameters. */
const spellings = [
  (type: string) => type,
  (type: string) => type.toUpperCase(),
  (type: string) => `${type}; charset=UTF-8`,
  (type: string) => type.replace("application", "Application"),
];
function spelled(input: Uint8Array): string {
  const spell = spellings[Math.floor((input[0] ?? 0) / types.length) % spellings.length];
  return spell?.(typeOf(input)) ?? JSON_TYPE;
}
const CODES = ["invalid_argument", "resource_exhausted", "unimplemented", "deadline_exceeded"];
const GRPC_STATUSES = ["0", "3", "8", "12"];
/** gRPC's own word for a message that is marked as compressed where no encoding is named. */
const GRPC_INTERNAL = "13";
const isMarkedCompressed = ([, flags = 0]: Uint8Array) => (flags & 1) === 1;

const mutateRequest = protobufMutator(SubmitSnapshotRequestSchema);

/** The first byte, which says type and spelling, and a body of that type. */
function call(type: number, message: Uint8Array, spelling = 0): Uint8Array {
  const framed = type > 1 ? frame(message) : message;
  return new Uint8Array(Buffer.concat([Uint8Array.of(type + types.length * spelling), framed]));
}

const jsonOf = (binary: Uint8Array) =>
  toJson(SubmitSnapshotRequestSchema, fromBinary(SubmitSnapshotRequestSchema, binary));
const encodeJson = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

export const target: FuzzTarget = {
  name: "edge",
  bytesMax: 32 * 1024,
  msMax: 250,
  msPerKb: 5,
  seeds: () =>
    submitRequests().flatMap((binary) => [
      call(0, encodeJson(jsonOf(binary))),
      call(1, binary),
      call(2, binary),
      call(3, encodeJson(jsonOf(binary))),
    ]),
  mutate: (input, random) => {
    const type = (input[0] ?? 0) % types.length;
    const message = input.subarray(type > 1 ? 6 : 1);
    const spelling = random.whole(0, spellings.length - 1);
    if (type === 1 || type === 2) return call(type, mutateRequest(message, random), spelling);
    try {
      const value: unknown = JSON.parse(Buffer.from(message).toString());
      return call(type, encodeJson(mutateValue(value, random)), spelling);
    } catch {
      return mutateBytes(input, random);
    }
  },
  open: async () => {
    const bare = await startBareServer();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    return {
      run: async (input) => {
        await post(bare.address, agent, input);
        await bare.memory.reaches(0);
      },
      close: async () => {
        agent.destroy();
        await bare.close();
      },
    };
  },
};

function post(address: string, agent: Agent, input: Uint8Array): Promise<void> {
  const [host, port] = address.split(":");
  const type = typeOf(input);
  const headers = { "content-type": spelled(input) };
  const path = pathOf("SubmitSnapshot");
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host, port, path, method: "POST", agent, headers });
    request.on("error", reject);
    request.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () => {
        const body = Buffer.concat(chunks);
        try {
          if (type.startsWith("application/grpc"))
            checkGrpcWeb(response.headers, body, isMarkedCompressed(input));
          else checkConnect(response.statusCode, body);
          resolve();
        } catch (error) {
          reject(error as Error);
        }
      });
    });
    request.end(input.subarray(1));
  });
}

function checkConnect(status: number | undefined, body: Buffer): void {
  if (status === 200) return;
  const { code } = JSON.parse(body.toString()) as { code: string };
  holds(CODES.includes(code), `a refusal is typed, not ${code} (HTTP ${String(status)})`);
}

/** The status is in a frame of trailers at the end of the body, or in the headers. */
function checkGrpcWeb(headers: Record<string, unknown>, body: Buffer, isMarked: boolean): void {
  const [, inBody] = /grpc-status: ?(\d+)/.exec(body.toString("latin1")) ?? [];
  const status = inBody ?? String(headers["grpc-status"]);
  const isTyped = GRPC_STATUSES.includes(status) || (isMarked && status === GRPC_INTERNAL);
  holds(isTyped, `a refusal is typed, not status ${status}`);
}
