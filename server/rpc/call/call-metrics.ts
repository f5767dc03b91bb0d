/** Counts and logs each call by method and by the code that it ended with; times the unary ones. */
import { AdminService } from "../../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { AggregatorService } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Clock } from "../../clock.js";
import type { Logger } from "../../log/log.js";
import type { Metrics } from "../../metrics/metrics.js";
import type { HttpResponse } from "../../net/http-listener.js";
import type { CallCode } from "../../reasons.js";
import type { CallContext } from "./call-context.js";
import { methodPath } from "./request-limits.js";

const methods = [AggregatorService, AdminService].flatMap((service) => service.methods);
const methodOf = new Map(methods.map((method) => [methodPath(method), method]));

export interface CallMetricsModules {
  clock: Clock;
  metrics: Pick<Metrics, "calls" | "callSeconds" | "requestBytes">;
  log: Pick<Logger, "debug">;
}

/** The label of a call's method; `other` for the standard calls and for what is not served. */
export function methodLabel(path: string): string {
  return methodOf.get(path)?.name ?? "other";
}

/**
 * Counts the call when its response is closed.
 *
 * @param call has, at that time, the code of the answer; undefined when none was made
 */
export function countCall(
  path: string,
  response: HttpResponse,
  call: Pick<CallContext, "principal" | "receivedAtMs"> & { readonly code: CallCode | undefined },
  { clock, metrics, log }: CallMetricsModules,
): void {
  const method = methodLabel(path);
  response.once("close", () => {
    const { code, principal } = call;
    const isLeft = !wasDelivered(response) && (code === undefined || code === "ok");
    const ended = isLeft ? "canceled" : (code ?? "unknown");
    const tookMs = clock.nowMs() - call.receivedAtMs;
    metrics.calls.inc({ method, code: ended });
    log.debug({ path, principal, code: ended, ms: Math.round(tookMs) }, "call ended");
    if (methodOf.get(path)?.methodKind !== "unary") return;
    metrics.callSeconds.observe({ method }, tookMs / 1000);
  });
}

/** Whether the caller got the whole answer. */
function wasDelivered(response: HttpResponse): boolean {
  if (!("stream" in response)) return response.writableFinished;
  const { aborted, rstCode } = response.stream;
  return !aborted && rstCode === 0;
}
