/**
 * Calls on the service's own HTTP and RPC layers: its listener, TLS, HTTP rules, admission of calls
 * and writer of answers, without a policy. The only file of these suites that knows the server.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { IncomingHttpHeaders } from "node:http";
import type { Message, Registry } from "@bufbuild/protobuf";
import { createConnectRouter } from "@connectrpc/connect";
import type { ConnectError, ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { Access } from "../../../server/access/access.js";
import { systemClock } from "../../../server/clock.js";
import { limits } from "../../../server/limits.js";
import { createLog } from "../../../server/log/log.js";
import { MemoryBudget } from "../../../server/memory-budget.js";
import { createMetrics } from "../../../server/metrics/metrics.js";
import { HttpListener } from "../../../server/net/http-listener.js";
import { createTransportMetrics } from "../../../server/net/metrics.js";
import type { TlsSettings } from "../../../server/net/tls-files.js";
import { TlsSource } from "../../../server/net/tls-source.js";
import { callOf, CallAdmission } from "../../../server/rpc/call/call-admission.js";
import { answerUnimplemented, refuseMethod } from "../../../server/rpc/pages/pages.js";
import { connectErrorOf } from "../../../server/rpc/status.js";

/** How long calls may take to end when the server closes. */
const CLOSE_MS = 100;

export interface ServeOptions {
  /** Adds the calls; their handlers get what the server knows of a call by `servedCallOf`. */
  addCalls(router: ConnectRouter): void;
  /** Types of messages inside `google.protobuf.Any`, for answers in JSON. */
  registry: Registry;
  /** Largest request message, in bytes. */
  requestBytesMax: number;
  /** Undefined: plain text. */
  tls: TlsSettings | undefined;
}

export interface ServedCalls {
  /** `host:port`. */
  address: string;
  /** Ends calls and connections; resolves when the last connection is gone. */
  close(): Promise<void>;
}

/** What the server knows of a call. */
export interface ServedCall {
  request: Message;
  headers: IncomingHttpHeaders;
  /** Time that the call's own deadline left at receipt; undefined when the call has none. */
  deadlineMs: number | undefined;
  /** Aborts when the caller is gone, and when the call's own deadline has passed. */
  signal: AbortSignal;
}

/** The headers of the call in progress: the service's own handlers see none. */
const headersOf = new AsyncLocalStorage<IncomingHttpHeaders>();

export function servedCallOf(context: HandlerContext): ServedCall {
  const { request, callDeadlineMs, signal } = callOf(context);
  const headers = headersOf.getStore();
  if (request === undefined || headers === undefined) throw new Error("the call is not read");
  return { request, headers, deadlineMs: callDeadlineMs, signal };
}

/** The status of a call that has ended before its answer. */
export function endErrorOf({ signal }: ServedCall): ConnectError {
  return connectErrorOf(signal.reason);
}

/** Serves the calls on a free port of the loopback interface. */
export async function serveCalls(options: ServeOptions): Promise<ServedCalls> {
  const clock = systemClock;
  const log = createLog("silent");
  const metrics = createMetrics();
  const transport = createTransportMetrics(metrics.registry);
  const memory = new MemoryBudget(limits.heldBytesMax);
  const access = new Access(undefined, { clock, log, metrics });
  const tls = options.tls && (await TlsSource.open(options.tls, { clock, log, transport }));

  const { registry } = options;
  const router = createConnectRouter({ acceptCompression: [], jsonOptions: { registry } });
  options.addCalls(router);
  const admission = new CallAdmission(
    new Map(router.handlers.map((handler) => [handler.requestPath, handler])),
    new AbortController().signal,
    { clock, log, memory, access, metrics, requestBytesMax: () => options.requestBytesMax },
  );
  const listener = new HttpListener(
    (call) => {
      const { request, response } = call;
      const [path = ""] = (request.url ?? "").split("?", 1);
      if (!admission.serves(path)) answerUnimplemented(path, request, response);
      else if (request.method !== "POST") refuseMethod(response, "POST");
      else headersOf.run(request.headers, () => admission.handle(path, call));
    },
    { name: "nodes", socket: { mode: 0o600 }, tls, connectionsMax: limits.connectionsMax },
    { clock, log, transport },
  );
  const close = async () => {
    tls?.close();
    await listener.close(CLOSE_MS);
  };
  return { address: await listener.listen("127.0.0.1:0"), close };
}
