/** `lean-aggregator watch`: a node's results as they come, until interrupted. */
import type { StreamResultsResponse } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { GapCause } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { resumeResults } from "../client/rpc/result-stream.js";
import { callError } from "./io/call-error.js";
import { connect } from "./io/connect.js";
import type { ConnectOptions } from "./io/connect.js";
import { exitCodes } from "./io/exit-codes.js";
import { eventJsonLine } from "./io/json-lines.js";
import { lower, outcomeHeader, outcomeLine, summaryLine } from "./io/outcome-line.js";
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
    for await (const event of resumeResults(client, request, signal)) {
      if (event.kind === "broken") {
        if (connection === "new" || event.isFinal) throw event.error;
        if (connection === "up") terminal.err(`the connection to ${server} is lost, resuming\n`);
        connection = "broken";
        continue;
      }
      if (connection === "broken") terminal.err(`connected to ${server} again\n`);
      if (connection === "new" && !json) terminal.out(`${outcomeHeader()}\n`);
      connection = "up";
      const { event: received, cursor } = event.response;
      terminal.out(json ? eventJsonLine(received, cursor) : textOf(received));
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
