/** `lean-aggregator watch`: shows a node's results as they arrive, until interrupted. */
import type { Command } from "commander";
import type {
  Opened,
  Status,
  StreamResultsResponse,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ServiceState } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { liveResults } from "../client/rpc/live-results.js";
import { callError } from "./io/call-error.js";
import type { CommandModules, Terminal } from "./io/command.js";
import { addCommand, ending, exitCodes, NODE_DEFAULT, idOption } from "./io/command.js";
import type { ConnectOptions } from "./io/connect.js";
import { addConnectOptions, connect } from "./io/connect.js";
import { eventJsonLine, jsonLinesOption } from "./io/json-lines.js";
import { ShownResults } from "./shown-results.js";
import { lower, outcomeHeader, outcomeLine, summaryLine } from "./io/outcome-line.js";

const help = `
Starts with the results that the service still keeps. After a broken connection,
or 1.5 s of silence, it reconnects and goes on where it was. A line says when the
service gets ready or stops accepting snapshots. Ctrl-C ends it.

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
  /** Print JSON lines instead of a table. */
  json?: boolean;
}

export function addWatchCommand(program: Command, modules: CommandModules): void {
  const summary = "show a node's results as they arrive, until Ctrl-C";
  addConnectOptions(addCommand(program, "watch", { summary, help }))
    .addOption(jsonLinesOption())
    .addOption(idOption("--node <id>", "node id whose results to show").default(NODE_DEFAULT))
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
  const shown = new ShownResults();
  const service = new WatchedService(server);
  const request = () => ({ node: { nodeId: node }, retained: true });
  let connection: "new" | "up" | "broken" = "new";
  try {
    for await (const streamed of liveResults(client, request, signal)) {
      if (streamed.kind === "broken") {
        if (connection === "new" || streamed.isFinal) throw streamed.error;
        if (connection === "up") terminal.err(`connection to ${server} lost, reconnecting\n`);
        connection = "broken";
        continue;
      }
      const { event } = streamed.response;
      const note = event.case === "opened" ? service.opened(event.value) : "";
      if (note !== "") terminal.err(note);
      if (connection === "new" && !json) await terminal.outUntil(`${outcomeHeader()}\n`, signal);
      connection = "up";
      if (!shown.isNew(event)) continue;
      const text = json ? eventJsonLine(event) : textOf(event, service);
      if (text !== "") await terminal.outUntil(text, signal);
    }
    return exitCodes.ok;
  } catch (error) {
    throw await callError(error, options);
  } finally {
    client.close();
  }
}

function textOf(event: StreamResultsResponse["event"], service: WatchedService): string {
  switch (event.case) {
    case "opened":
      return service.statusText(event.value.status);
    case "status":
      return service.statusText(event.value);
    case "outcome":
      return `${outcomeLine(event.value)}\n`;
    case "summary":
      return `${summaryLine(event.value)}\n`;
    default:
      return "";
  }
}

/** What was said about the service: its run, and whether it accepts snapshots. */
class WatchedService {
  private run = "";
  private lastText = statusLine({ state: ServiceState.READY, detail: "" });

  constructor(private readonly server: string) {}

  /** The line to print when a stream was opened; empty for the first one. */
  opened({ run }: Opened): string {
    const before = this.run;
    this.run = run;
    if (before === "") return "";
    const restarted = before === run ? "" : ", which has restarted and lost its earlier results";
    return `reconnected to ${this.server}${restarted}\n`;
  }

  /** The line for a status; empty when it is the line of the status before. At first, of READY. */
  statusText(status: Status | undefined): string {
    const text = statusLine(status ?? { state: ServiceState.UNSPECIFIED, detail: "" });
    if (text === this.lastText) return "";
    this.lastText = text;
    return text;
  }
}

function statusLine({ state, detail }: Pick<Status, "state" | "detail">): string {
  const isReady = state === ServiceState.READY;
  const why = detail === "" ? "" : `: ${detail}`;
  return `service ${lower(ServiceState[state])}, ${isReady ? "accepts" : "accepts no"} snapshots${why}\n`;
}
