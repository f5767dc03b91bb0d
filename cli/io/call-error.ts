/** Turns failed calls into errors for the user of the command line. */
import { AggregatorError } from "../../client/errors.js";
import { httpStatusIn, meaningOfHttpStatus } from "../../client/http-status.js";
import { CommandError } from "./command.js";
import type { ConnectOptions } from "./connect.js";
import { findObstacle } from "./obstacle.js";
import type { Listener, Obstacle } from "./obstacle.js";

/** The start of a refusal that names a field, such as `snapshot.groups[0].kind: `. */
const FIELD = /^[a-z_]+(\[\d+\])?(\.[a-z_]+(\[\d+\])?)*: /;

/**
 * Resolves with the error to report for a failed call; with a `CommandError` as it is. When no call
 * got through, it connects once more to find out why.
 */
export async function callError(
  thrown: unknown,
  options: ConnectOptions,
  listener: Listener = "service",
): Promise<CommandError> {
  if (thrown instanceof CommandError) return thrown;
  const cause = AggregatorError.from(thrown);
  const { server } = options;
  const whose = listener === "service" ? "the service" : "the operator's listener";
  const error = ({ why, todo }: Obstacle) =>
    new CommandError(`cannot reach ${whose} at ${server}: ${why}`, todo, { cause });
  const httpStatus = httpStatusIn(detailsOf(cause));
  if (httpStatus !== undefined) {
    const { problem, todo } = meaningOfHttpStatus(httpStatus);
    return new CommandError(`${server}: ${problem}`, todo, { cause });
  }
  if (["unavailable", "internal", "deadline_exceeded"].includes(cause.kind)) {
    const obstacle = await findObstacle(options, listener);
    if (obstacle !== undefined) return error(obstacle);
  }
  const { problem, todo } = refusalText(cause, server, listener);
  return new CommandError(problem, todo, { cause });
}

function refusalText(
  cause: AggregatorError,
  server: string,
  listener: Listener,
): { problem: string; todo: string } {
  const details = detailsOf(cause);
  const at = `${server}: ${details}`;
  const isService = listener === "service";
  switch (cause.kind) {
    case "unavailable":
      return { problem: `the service is not available at ${at}`, todo: "retry, or see its log" };
    case "deadline_exceeded":
      return {
        problem: `the service at ${server} did not answer in time`,
        todo: "see its log, then retry",
      };
    case "invalid_argument":
      return {
        problem: `the service refused the request: ${details}`,
        todo: "fix that field and retry",
      };
    case "not_found":
      return {
        problem: `not found: ${details}`,
        todo: isService
          ? "the service may have restarted: submit again"
          : "see 'lean-aggregator admin provers' and 'admin sessions'",
      };
    case "overloaded":
      return { problem: `the service is overloaded, ${at}`, todo: "retry later" };
    case "unauthorized":
      return {
        problem: `permission denied by ${at}`,
        todo: "check --token-file and the service's policy",
      };
    case "unsupported":
      if (isService && FIELD.test(details))
        return {
          problem: `the service does not offer this: ${details}`,
          todo: "change that field; 'lean-aggregator info' shows what it offers",
        };
      return isService
        ? {
            problem: `the service does not support this call, ${at}`,
            todo:
              "give a --listen address of the service, not its --admin address, or compare the " +
              "versions: 'lean-aggregator info', 'lean-aggregator --version'",
          }
        : {
            problem: `not the operator's listener, ${at}`,
            todo: "set --server to the service's --admin address, not to a --listen address",
          };
    case "node_id_in_use":
      return { problem: details, todo: "leave node_epoch out, or name another node" };
    case "cancelled":
    case "endpoint_is_balanced":
    case "internal":
      return { problem: `the call failed, ${at}`, todo: "see the service's log" };
  }
}

/**
 * Returns the server's message, or the reason why it cannot be reached, without the text that
 * grpc-js adds. It is for people only.
 */
function detailsOf({ cause, message }: AggregatorError): string {
  const has = cause instanceof Error && "details" in cause && typeof cause.details === "string";
  return (has ? String(cause.details) : message)
    .replace(/^No connection established\. Last error: (Error: )?/, "")
    .replace(/\.? Resolution note: $/, "");
}
