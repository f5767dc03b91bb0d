/** Failed calls as the command line tells them. */
import { AggregatorError } from "../../client/errors.js";
import { CommandError } from "./command.js";

/** What a failed call to `server` means to a person. A `CommandError` passes through. */
export function callError(thrown: unknown, server: string): CommandError {
  if (thrown instanceof CommandError) return thrown;
  const cause = AggregatorError.from(thrown);
  const details = detailsOf(cause);
  const error = (what: string, where: string, todo: string) =>
    new CommandError(what, where, todo, { cause });
  switch (cause.kind) {
    case "unavailable":
      return error(
        "the service is not available",
        `${server} (${details})`,
        "start it with 'lean-aggregator serve' or name another with --server",
      );
    case "deadline_exceeded":
      return error("the service did not answer in time", server, "see its log, then try again");
    case "invalid_argument":
      return error("the service refused the request", details, "mend that field and try again");
    case "not_found":
      return error("the service does not know it", details, "it may have restarted: submit again");
    case "overloaded":
      return error("the service has no room", `${server} (${details})`, "try again later");
    case "unauthorized":
      return error(
        "the service does not let you",
        `${server} (${details})`,
        "check --token-file and the service's policy",
      );
    case "unsupported":
      return error(
        "the service does not offer this",
        `${server} (${details})`,
        "compare its version and revision with 'lean-aggregator info'",
      );
    case "cancelled":
    case "internal":
      return error("the call failed", `${server} (${details})`, "see the service's log");
  }
}

/** The server's own words: grpc-js puts code and name in front of them in `message`. */
export function detailsOf({ cause, message }: AggregatorError): string {
  const has = cause instanceof Error && "details" in cause && typeof cause.details === "string";
  return (has ? String(cause.details) : message).replace(/ Resolution note: $/, "");
}
