/** A call's own timeout as the HTTP edge reads it, in Connect's form or gRPC's. */
import type { IncomingHttpHeaders } from "node:http";

/** Longer timers fire at once in Node: 24.8 days. */
const TIMER_MS_MAX = 2 ** 31 - 1;

const unitMs: Record<string, number> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * Milliseconds from receipt; undefined when the caller set none, or one that cannot be read, which
 * connect then refuses. One that no timer can hold is taken off the headers: nobody waits so long,
 * and connect would end the call at once.
 */
export function takeTimeoutMs(headers: IncomingHttpHeaders): number | undefined {
  const isGrpc = headers["content-type"]?.startsWith("application/grpc") === true;
  const name = isGrpc ? "grpc-timeout" : "connect-timeout-ms";
  const [, count, unit = "m"] =
    (isGrpc ? /^(\d{1,8})([HMSmun])$/ : /^(\d{1,10})$/).exec(String(headers[name])) ?? [];
  if (count === undefined) return undefined;
  const timeoutMs = Number(count) * (unitMs[unit] ?? 1);
  // The headers are a fresh object of this request, and connect reads them after us.
  if (timeoutMs > TIMER_MS_MAX) Reflect.deleteProperty(headers, name);
  return timeoutMs;
}
