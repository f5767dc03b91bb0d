/** Turns failed calls into errors for the user of the command line. */
import { AggregatorError } from "../../client/errors.js";
import { httpStatusIn, meaningOfHttpStatus } from "../../client/http-status.js";
import { CommandError } from "./command.js";

/** Which listener was called: the one for nodes, or the operator's. */
export type Listener = "service" | "operator";

/**
 * Returns the error to report for a failed call; a `CommandError` as it is.
 * @param server the address that was called
 */
export function callError(
  thrown: unknown,
  server: string,
  listener: Listener = "service",
): CommandError {
  if (thrown instanceof CommandError) return thrown;
  const cause = AggregatorError.from(thrown);
  const error = (problem: string, todo: string) => new CommandError(problem, todo, { cause });
  const details = detailsOf(cause);
  const httpStatus = httpStatusIn(details);
  if (httpStatus !== undefined) {
    const { problem, todo } = meaningOfHttpStatus(httpStatus);
    return error(`${server}: ${problem}`, todo);
  }
  const at = `${server}: ${details}`;
  switch (cause.kind) {
    case "unavailable":
      return listener === "service"
        ? error(
            `cannot reach the service at ${at}`,
            "start it with 'lean-aggregator serve', or fix --server and the --tls flags",
          )
        : error(
            `cannot reach the operator's listener at ${at}`,
            "start the service with 'lean-aggregator serve', or set --server to its --admin address",
          );
    case "deadline_exceeded":
      return error(`the service at ${server} did not answer in time`, "see its log, then retry");
    case "invalid_argument":
      return error(`the service refused the request: ${details}`, "fix that field and retry");
    case "not_found":
      return listener === "service"
        ? error(`not found: ${details}`, "the service may have restarted: submit again")
        : error(
            `not found: ${details}`,
            "see 'lean-aggregator admin provers' and 'admin sessions'",
          );
    case "overloaded":
      return error(`the service is overloaded, ${at}`, "retry later");
    case "unauthorized":
      return error(`permission denied by ${at}`, "check --token-file and the service's policy");
    case "unsupported":
      return listener === "service"
        ? error(
            `the service does not support this call, ${at}`,
            "compare its version with this one's: 'lean-aggregator info', 'lean-aggregator --version'",
          )
        : error(
            `not the operator's listener, ${at}`,
            "set --server to the service's --admin address, not to a --listen address",
          );
    case "cancelled":
    case "internal":
      return error(`the call failed, ${at}`, "see the service's log");
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
