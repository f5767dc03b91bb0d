/** Counts each call by method and by the code that it ended with, and times the unary ones. */
import { AdminService } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { AggregatorService } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Clock } from "../clock.js";
import type { Metrics } from "../metrics.js";
import type { HttpResponse } from "../net/http-listener.js";
import type { CallCode } from "../reasons.js";
import { methodPath } from "./request-limits.js";

const methods = [AggregatorService, AdminService].flatMap((service) => service.methods);
const methodOf = new Map(methods.map((method) => [methodPath(method), method]));

export interface CallMetricsModules {
  clock: Clock;
  metrics: Pick<Metrics, "calls" | "callSeconds" | "requestBytes">;
}

/** The label of a call's method; `other` for the standard calls and for what is not served. */
export function methodLabel(path: string): string {
  return methodOf.get(path)?.name ?? "other";
}

/**
 * Counts the call when its response is closed.
 *
 * @param codeOf the code of the answer; undefined when none was made
 */
export function countCall(
  path: string,
  response: HttpResponse,
  codeOf: () => CallCode | undefined,
  { clock, metrics }: CallMetricsModules,
): void {
  const method = methodLabel(path);
  const startedMs = clock.nowMs();
  response.once("close", () => {
    const code = codeOf();
    const isLeft = !wasDelivered(response) && (code === undefined || code === "ok");
    metrics.calls.inc({ method, code: isLeft ? "canceled" : (code ?? "unknown") });
    if (methodOf.get(path)?.methodKind !== "unary") return;
    metrics.callSeconds.observe({ method }, (clock.nowMs() - startedMs) / 1000);
  });
}

/** Whether the caller got the whole answer. */
function wasDelivered(response: HttpResponse): boolean {
  if (!("stream" in response)) return response.writableFinished;
  const { aborted, rstCode } = response.stream;
  return !aborted && rstCode === 0;
}
