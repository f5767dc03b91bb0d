/** `lean-aggregator watch`: shows a node's results as they arrive, until interrupted. */
import type { Command } from "commander";
import type { StreamResultsResponse } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { GapCause } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { resumeResults } from "../client/rpc/result-stream.js";
import { callError } from "./io/call-error.js";
import type { CommandModules, Terminal } from "./io/command.js";
import { addCommand, ending, exitCodes, NODE_DEFAULT, nodeOption } from "./io/command.js";
import type { ConnectOptions } from "./io/connect.js";
import { addConnectOptions, connect } from "./io/connect.js";
import { eventJsonLine, jsonLinesOption } from "./io/json-lines.js";
import { lower, outcomeHeader, outcomeLine, summaryLine } from "./io/outcome-line.js";

const help = `
Starts with the results that the service still keeps. After a broken connection
it reconnects and goes on where it was. With --json every line has the cursor of
its event. Ctrl-C ends it.

Examples:
  lean-aggregator watch --node node-1
  lean-aggregator watch --node node-1 --json | jq -c .summary

Exit codes:
  0  interrupted by Ctrl-C
  1  the service refused the stream or cannot be reached
  2  a flag is wrong
`;

export interface WatchOptions extends ConnectOptions {
  /** Id of the node whose results to show. */
  node: string;
  /** Print JSON lines, each with its cursor. */
  json?: boolean;
}

export function addWatchCommand(program: Command, modules: CommandModules): void {
  const summary = "show a node's results as they arrive, until Ctrl-C";
  addConnectOptions(addCommand(program, "watch", { summary, help }))
    .addOption(jsonLinesOption())
    .addOption(nodeOption("--node <id>", "node id whose results to show").default(NODE_DEFAULT))
    .action(
      ending(modules, (options: WatchOptions) =>
        watchCommand(options, modules.interrupted(), modules.terminal),
      ),
    );
}

/**
 * Prints results until `signal` aborts, then resolves with exit code 0. Rejects with `CommandError`
 * if the first connection fails or the service refuses the stream. After another break it
 * reconnects, for ever.
 */
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
        if (connection === "up") terminal.err(`connection to ${server} lost, reconnecting\n`);
        connection = "broken";
        continue;
      }
      if (connection === "broken") terminal.err(`reconnected to ${server}\n`);
      if (connection === "new" && !json) await terminal.outUntil(`${outcomeHeader()}\n`, signal);
      connection = "up";
      const { event: received, cursor } = event.response;
      await terminal.outUntil(json ? eventJsonLine(received, cursor) : textOf(received), signal);
    }
    return exitCodes.ok;
  } catch (error) {
    throw await callError(error, options);
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
