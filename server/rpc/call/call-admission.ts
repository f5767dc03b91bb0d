/**
 * Takes a call from its HTTP request to its handler, by way of connect-es. When the headers arrive,
 * notes the time, checks the policy and reserves memory; reserves more as the body arrives. All the
 * call's memory, also that of its answer, is released when the call ends, however it ends.
 */
import type { Message } from "@bufbuild/protobuf";
import type { ConnectError, HandlerContext } from "@connectrpc/connect";
import { createContextKey, createContextValues } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import type { Access } from "../../access/access.js";
import { TIMER_MS_MAX } from "../../clock.js";
import type { Clock } from "../../clock.js";
import { invalid, quoted, Refusal } from "../../errors.js";
import { watchedAnswer } from "./answer-error.js";
import { HeldAnswer } from "./held-answer.js";
import { limits } from "../../limits.js";
import type { Logger } from "../../log/log.js";
import { RareLog } from "../../log/rare-log.js";
import type { CallCode } from "../../reasons.js";
import { overloaded } from "../../memory-budget.js";
import type { MemoryBudget, MemoryShare } from "../../memory-budget.js";
import type { HttpRequest, HttpResponse, ReceivedCall } from "../../net/http-listener.js";
import { readTraceparent, writeTraceparent } from "../../traces/trace-context.js";
import type { CallContext } from "./call-context.js";
import { countCall, methodLabel } from "./call-metrics.js";
import type { CallMetricsModules } from "./call-metrics.js";
import { admitHeaders, credentialOf, isStandard } from "./permission.js";
import {
  binaryMessage,
  decodeRequest,
  emptyMessage,
  readRequest,
  streamRequest,
} from "./read-request.js";
import { bytesToHold, mediaTypeOf, notReadInTime, requestBytesMax } from "./request-limits.js";
import { senderOf } from "./sender.js";
import { codeNameOf, connectErrorOf } from "../status.js";
import { writeAnswer } from "./write-answer.js";

/** A call whose headers have arrived. */
export interface AdmittedCall extends CallContext {
  /** The decoded request; undefined until it is read, and in calls that stream their requests. */
  request: Message | undefined;
  /** How the call was answered, for metrics; undefined until then. */
  code: CallCode | undefined;
  /** Memory reserved for the request; undefined until it is read. */
  share: MemoryShare | undefined;
  /**
   * To be called once a call with a single answer has it: lets go of the request, and starts the
   * caller's time to take the answer.
   */
  answered(): void;
}

const callKey = createContextKey<AdmittedCall | undefined>(undefined);

/** The admitted call of which connect-es has called the handler. */
export function callOf({ values }: HandlerContext): AdmittedCall {
  const call = values.get(callKey);
  if (call === undefined) throw new Error("a call came past its admission");
  return call;
}

/** Reasons of a call's signal. Made once: every call ends, and a stack trace is slow to make. */
const LEFT = new Refusal("unavailable", "", "the caller has left");
const TOO_LATE = new Refusal("deadline_exceeded", "", "the call's deadline has passed");
/** Headers that name a compression: of gRPC, of Connect's unary calls, and of its streams. */
const ENCODING_HEADERS = ["grpc-encoding", "content-encoding", "connect-content-encoding"];

/** A call that is not admitted yet. */
interface IncomingCall {
  handler: UniversalHandler;
  path: string;
  /** Media type of the request, without parameters, in lower case. */
  type: string;
  request: HttpRequest;
  response: HttpResponse;
}

export interface CallAdmissionModules {
  clock: Clock;
  log: Logger;
  memory: MemoryBudget;
  access: Access;
  metrics: CallMetricsModules["metrics"];
  /** Limit of a request message, in bytes, by path and media type. Default: by the service's methods. */
  requestBytesMax?(path: string, type: string): number;
}

export class CallAdmission {
  private readonly rareLog: RareLog;

  /**
   * @param handlers by the path of their method, as `methodPath` returns it
   * @param draining aborts when the server begins to drain
   */
  constructor(
    private readonly handlers: ReadonlyMap<string, UniversalHandler>,
    private readonly draining: AbortSignal,
    private readonly modules: CallAdmissionModules,
  ) {
    this.rareLog = new RareLog(modules);
  }

  /** Whether a handler has this path. */
  serves(path: string): boolean {
    return this.handlers.has(path);
  }

  /** Serves a call. The path must be one that it `serves`. */
  handle(path: string, received: ReceivedCall): void {
    const { response } = received;
    let isClosed = false;
    response.once("close", () => (isClosed = true));
    this.answer(path, received).catch((error: unknown) => {
      // Most often the caller has left. Otherwise no answer could be made: the caller gets a reset.
      if (!isClosed) this.rareLog.warn(path, { err: error, path }, "call cut");
      response.destroy();
    });
  }

  private async answer(path: string, received: ReceivedCall) {
    const { request, response } = received;
    const handler = this.handlers.get(path);
    if (handler === undefined) throw new Error(`${path} is not served`);
    // One spelling for limits, decoder and connect-es, whichever the caller used.
    const type = mediaTypeOf(request.headers["content-type"] ?? "");
    const incoming = { handler, path, type, request, response };
    const ended = new AbortController();
    response.once("close", () => ended.abort(LEFT));
    const call = this.callOf(received, ended.signal);
    countCall(path, response, call, this.modules);
    const reading = this.read(incoming, call, ended);
    // connect-es awaits `reading` through the body, and answers a refusal in the caller's protocol.
    // If it refuses the call earlier, nothing awaits `reading`, whose rejection is only noted here.
    reading.catch((error: unknown) => {
      call.code = codeNameOf(error);
      call.answered();
    });
    const answer = await handler({
      httpVersion: request.httpVersion,
      method: "POST",
      url: `http://localhost${path}`,
      header: new Headers({ "content-type": type }),
      body: bodyOf(reading),
      signal: ended.signal,
      contextValues: createContextValues().set(callKey, call),
    });
    const watched = watchedAnswer(answer, (error) => this.noteFailed(path, call, error));
    await writeAnswer(watched, response);
  }

  /** Notes an error that no handler has thrown: the answer could not be encoded. */
  private noteFailed(path: string, call: AdmittedCall, error: ConnectError): void {
    if (call.code !== undefined && call.code !== "ok") return;
    call.code = codeNameOf(error);
    this.modules.log.error({ err: error, path }, "call failed: its answer cannot be encoded");
  }

  private callOf(
    { request, response, peer, receivedAtMs }: ReceivedCall,
    signal: AbortSignal,
  ): AdmittedCall {
    const { clock, memory } = this.modules;
    const held = new HeldAnswer(() => response.destroy(), { clock, memory });
    response.once("close", () => held.release());
    const call: AdmittedCall = {
      receivedAtMs,
      callDeadlineMs: undefined,
      peer,
      credential: credentialOf(peer, request.headers.authorization),
      traceparent: traceparentOf(request),
      principal: "",
      signal,
      holdAnswer: (bytes) => held.hold(bytes),
      draining: this.draining,
      request: undefined,
      received: undefined,
      code: undefined,
      share: undefined,
      answered: () => {
        call.request = undefined;
        call.received = undefined;
        call.share?.resize(limits.callBytes);
        held.answered();
      },
    };
    return call;
  }

  /**
   * Admits the call and reads its request; returns the body that connect-es reads instead. Rejects
   * with a `Refusal`.
   */
  private async read(
    { handler, path, type, request, response }: IncomingCall,
    call: AdmittedCall,
    ended: AbortController,
  ): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
    const { clock, memory, access, metrics } = this.modules;
    const bytesMaxOf = this.modules.requestBytesMax ?? requestBytesMax;
    call.callDeadlineMs = timeoutMsOf(type, request);
    call.principal = admitHeaders(access, call.credential, path)?.name ?? "";
    refuseCompressed(request);
    const announcedBytes = announcedBytesOf(request);
    const share = memory.reserveForCall(
      bytesToHold(0, announcedBytes),
      senderOf(request, call.credential),
    );
    if (share === undefined) throw overloaded();
    call.share = share;
    response.once("close", () => share.release());
    const nowMs = clock.nowMs();
    const endAtMs = call.receivedAtMs + (call.callDeadlineMs ?? Infinity);
    const lateAtMs = Math.min(nowMs + limits.requestReadMsMax, endAtMs);
    if (lateAtMs <= nowMs) throw notReadInTime();
    const { method } = handler;
    if (method.methodKind !== "unary" && isStandard(path)) {
      this.endWithPermission(call, response, ended);
    }
    if (method.methodKind === "bidi_streaming" || method.methodKind === "client_streaming") {
      this.endAtDeadline(call, response, ended);
      return streamRequest(request, response, { lateAtMs, clock, signal: ended.signal });
    }
    const body = await readRequest(request, response, {
      type,
      bytesMax: bytesMaxOf(path, type),
      announcedBytes,
      lateAtMs,
      clock,
      hold: (bytes) => share.resize(bytesToHold(bytes, announcedBytes)),
    });
    share.resize(Math.max(body.length, limits.callBytes));
    metrics.requestBytes.inc({ method: methodLabel(path) }, body.length);
    call.request = decodeRequest(method.input, type, body);
    call.received = binaryMessage(type, body);
    this.endAtDeadline(call, response, ended);
    return emptyMessage(type);
  }

  /**
   * Aborts the call's signal when its caller may no longer make it. For the standard streams: the
   * others name a node, and ask for themselves.
   */
  private endWithPermission(
    call: AdmittedCall,
    response: HttpResponse,
    ended: AbortController,
  ): void {
    const grant = this.modules.access.openWait(call.credential, {});
    grant.signal.addEventListener("abort", () => ended.abort(grant.signal.reason));
    response.once("close", () => grant.close());
  }

  /** Aborts the call's signal when its own deadline has passed. */
  private endAtDeadline(call: AdmittedCall, response: HttpResponse, ended: AbortController): void {
    const { callDeadlineMs, receivedAtMs } = call;
    if (callDeadlineMs === undefined) return;
    const { clock } = this.modules;
    const cancel = clock.at(receivedAtMs + callDeadlineMs, () => ended.abort(TOO_LATE));
    response.once("close", cancel);
  }
}

/**
 * The timeout in the call's headers, in milliseconds; undefined without one, or with one of more
 * than 24.8 days, by which callers mean none. Throws a `Refusal` when the header is malformed.
 */
function timeoutMsOf(type: string, { headers }: HttpRequest): number | undefined {
  const isGrpc = type.startsWith("application/grpc");
  const name = isGrpc ? "grpc-timeout" : "connect-timeout-ms";
  const value = headers[name];
  if (value === undefined) return undefined;
  const parse = isGrpc ? parseGrpcTimeout : parseConnectTimeout;
  const { timeoutMs, error } = parse(String(value), Infinity);
  if (error !== undefined) {
    const expected = isGrpc ? "1 to 8 digits and one of H M S m u n" : "1 to 10 digits";
    throw invalid(name, `is ${quoted(String(value))}, expected ${expected}`);
  }
  return timeoutMs !== undefined && timeoutMs > TIMER_MS_MAX ? undefined : timeoutMs;
}

/** The caller's trace context, without what we do not read; undefined without a valid one. */
function traceparentOf({ headers }: HttpRequest): string | undefined {
  const context = readTraceparent(headers["traceparent"]?.toString());
  return context && writeTraceparent(context);
}

/** The body's length in bytes, if the headers announce it. */
function announcedBytesOf({ headers }: HttpRequest): number | undefined {
  const text = headers["content-length"] ?? "";
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

/**
 * Throws a `Refusal` for a compressed request: signatures and proofs do not compress, and 24 KB may
 * inflate to 24 MB.
 */
function refuseCompressed({ headers }: HttpRequest): void {
  for (const name of ENCODING_HEADERS) {
    const encoding = String(headers[name] ?? "identity");
    if (encoding === "identity") continue;
    const detail = `is ${quoted(encoding)}, only identity is supported`;
    throw new Refusal("unimplemented", name, detail);
  }
}

/** The body as connect-es reads it; a refusal becomes an error of connect-es. */
async function* bodyOf(
  reading: Promise<Uint8Array | AsyncIterable<Uint8Array>>,
): AsyncGenerator<Uint8Array> {
  try {
    const body = await reading;
    if (body instanceof Uint8Array) yield body;
    else yield* body;
  } catch (error) {
    throw connectErrorOf(error);
  }
}
