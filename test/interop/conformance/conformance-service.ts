/**
 * The handlers that Connect's conformance suite calls. Each request says what to answer, and the
 * answer repeats what the server saw of the request. Types come from the suite's own descriptors.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type {
  DescMessage,
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  Registry,
} from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { z } from "zod";
import { endErrorOf, servedCallOf } from "./served-calls.js";
import type { ServedCall } from "./served-calls.js";

const PACKAGE = "connectrpc.conformance.v1";

const bytes = z.instanceof(Uint8Array);
const fields = z.array(z.object({ name: z.string(), value: z.array(z.string()) }));
const failure = z.object({
  code: z.number(),
  message: z.string().default(""),
  details: z.array(z.object({ typeUrl: z.string(), value: bytes })),
});
const common = { responseHeaders: fields, responseTrailers: fields, responseDelayMs: z.number() };

/** `UnaryRequest` and `IdempotentUnaryRequest`, as far as a server needs them. */
const unaryRequest = z.object({
  responseDefinition: z
    .object({
      ...common,
      response: z.union([
        z.object({ case: z.literal("responseData"), value: bytes }),
        z.object({ case: z.literal("error"), value: failure }),
        z.object({ case: z.undefined() }),
      ]),
    })
    .optional(),
});

/** `ServerStreamRequest`, as far as a server needs it. */
const streamRequest = z.object({
  responseDefinition: z
    .object({ ...common, responseData: z.array(bytes), error: failure.optional() })
    .optional(),
});

/** What the server saw of a request: a `RequestInfo`. */
interface Seen {
  schema: DescMessage;
  value: Record<string, unknown>;
}

/**
 * Adds the calls that the service's layers offer: one request, and one answer or a stream of them.
 * `Unimplemented` is left out, as the suite expects; so are the calls whose requests are streams.
 */
export function addConformanceCalls(router: ConnectRouter, registry: Registry): void {
  const service = registry.getService(`${PACKAGE}.ConformanceService`);
  const schema = registry.getMessage(`${PACKAGE}.ConformancePayload.RequestInfo`);
  if (service === undefined || schema === undefined) {
    throw new Error(`the descriptors have no ${PACKAGE}.ConformanceService`);
  }
  for (const method of service.methods) {
    const see = (call: ServedCall): Seen => ({ schema, value: requestInfo(method.input, call) });
    if (method.name === "Unimplemented") continue;
    if (isUnary(method)) router.rpc(method, (_empty, context) => answer(context, see));
    if (isServerStreaming(method)) router.rpc(method, (_empty, context) => stream(context, see));
  }
}

const isUnary = (method: DescMethod): method is DescMethodUnary => method.methodKind === "unary";
const isServerStreaming = (method: DescMethod): method is DescMethodServerStreaming =>
  method.methodKind === "server_streaming";

function requestInfo(schema: DescMessage, { request, headers, deadlineMs }: ServedCall) {
  return {
    requestHeaders: Object.entries(headers).map(([name, value]) => ({
      name,
      value: [value].flat(),
    })),
    timeoutMs: deadlineMs === undefined ? undefined : BigInt(Math.round(deadlineMs)),
    requests: [anyPack(schema, request)],
  };
}

async function answer(context: HandlerContext, see: (call: ServedCall) => Seen) {
  const call = servedCallOf(context);
  const seen = see(call);
  const { responseDefinition: definition } = unaryRequest.parse(call.request);
  if (definition === undefined) return { payload: { requestInfo: seen.value } };
  const { response } = definition;
  append(context.responseHeader, definition.responseHeaders);
  append(context.responseTrailer, definition.responseTrailers);
  await wait(definition.responseDelayMs, call);
  if (response.case === "error") throw errorOf(response.value, seen);
  const data = response.case === "responseData" ? response.value : new Uint8Array();
  return { payload: { data, requestInfo: seen.value } };
}

async function* stream(context: HandlerContext, see: (call: ServedCall) => Seen) {
  const call = servedCallOf(context);
  const { responseDefinition: definition } = streamRequest.parse(call.request);
  if (definition === undefined) return;
  append(context.responseHeader, definition.responseHeaders);
  append(context.responseTrailer, definition.responseTrailers);
  let unseen: Seen | undefined = see(call);
  for (const data of definition.responseData) {
    await wait(definition.responseDelayMs, call);
    yield { payload: { data, requestInfo: unseen?.value } };
    unseen = undefined;
  }
  if (definition.error !== undefined) throw errorOf(definition.error, unseen);
}

function append(target: Headers, added: z.infer<typeof fields>): void {
  for (const { name, value } of added) for (const each of value) target.append(name, each);
}

/** Rejects with the service's own status when the call ends first. */
async function wait(ms: number, call: ServedCall): Promise<void> {
  await sleep(ms, undefined, { signal: call.signal }).catch(() => {
    throw endErrorOf(call);
  });
}

/** @param seen repeated in the error's details, where no answer has had it */
function errorOf({ code, message, details }: z.infer<typeof failure>, seen: Seen | undefined) {
  const error = new ConnectError(message, code);
  error.details = details.map(({ typeUrl, value }) => ({
    type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
    value,
  }));
  if (seen !== undefined) error.details.push({ desc: seen.schema, value: seen.value });
  return error;
}
