/** `lean-aggregator watch`: a node's results as they come, until interrupted. */
import type { StreamResultsResponse } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { GapCause } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { callError } from "./io/call-error.js";
import { connect } from "./io/connect.js";
import type { ConnectOptions } from "./io/connect.js";
import { exitCodes } from "./io/exit-codes.js";
import { eventJsonLine } from "./io/json-lines.js";
import { lower, outcomeHeader, outcomeLine, summaryLine } from "./io/outcome-line.js";
import { resumeResults } from "./resume-results.js";
import type { Terminal } from "./io/terminal.js";

export interface WatchOptions extends ConnectOptions {
  /** Whose results. */
  node: string;
  /** Lines of JSON, each with the cursor after it. */
  json?: boolean;
}

/** Ends with 0 when the signal aborts. A server that was up once is waited for. */
export async function watchCommand(
  options: WatchOptions,
  signal: AbortSignal,
  terminal: Terminal,
): Promise<number> {
  const { server, node, json = false } = options;
  const client = connect(options);
  let connection: "new" | "up" | "broken" = "new";
  try {
    const request = { node: { nodeId: node } };
    for await (const { event, response } of resumeResults(client, request, signal)) {
      if (event.case === "broken") {
        if (connection === "new") throw event.value;
        if (connection === "up") terminal.err(`the connection to ${server} is lost, resuming\n`);
        connection = "broken";
        continue;
      }
      if (connection === "broken") terminal.err(`connected to ${server} again\n`);
      if (connection === "new" && !json) terminal.out(`${outcomeHeader()}\n`);
      connection = "up";
      terminal.out(json ? eventJsonLine(event, response?.cursor) : textOf(event));
    }
    return exitCodes.ok;
  } catch (error) {
    throw callError(error, server);
  } finally {
    client.close();
  }
}

function textOf(event: StreamResultsResponse["event"]): string {
  switch (event.case) {
    case "outcome":
      return `${outcomeLine(event.value)}\n`;
    case "summary":
      return `${summaryLine(event.value)}\n`;
    case "gap": {
      const { cause, events } = event.value;
      const missing = events === 0n ? "events may be missing" : `${events} events are missing`;
      return `gap: ${missing} (${lower(GapCause[cause])})\n`;
    }
    default:
      return "";
  }
}
