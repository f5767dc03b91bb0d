/** `lean-aggregator submit FILE`: one snapshot from a file, and how each of its groups ended. */
import { create } from "@bufbuild/protobuf";
import type {
  Outcome,
  SubmitSnapshotRequest,
  SubmitSnapshotResponse,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  NodeSchema,
  SkipReason,
  SubmitSnapshotRequestSchema,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { callError } from "./io/call-error.js";
import { connect } from "./io/connect.js";
import type { ConnectOptions } from "./io/connect.js";
import { exitCodes } from "./io/exit-codes.js";
import { followSession } from "./follow-session.js";
import { answerJsonLine, eventJsonLine, LinesFile } from "./io/json-lines.js";
import { NODE_DEFAULT } from "./io/node-default.js";
import { lower, outcomeTable, summaryLine } from "./io/outcome-line.js";
import { Progress } from "./io/progress.js";
import { readMessage } from "./io/read-input.js";
import type { Terminal } from "./io/terminal.js";

const CALL_TIMEOUT_MS = 5000;

export interface SubmitOptions extends ConnectOptions {
  /** Lines of JSON instead of a table. */
  json?: boolean;
  /** Writes the lines of JSON to this file too. */
  out?: string;
  /** Over what the file says; default: the file's, else the call's 5 s. */
  deadlineMs?: number;
  /** Over what the file says; default: the file's, else the server's. */
  fenceMs?: number;
}

export async function submitCommand(
  file: string,
  options: SubmitOptions,
  terminal: Terminal,
): Promise<number> {
  const { server, deadlineMs, fenceMs, json = false, out } = options;
  const request = await readMessage(SubmitSnapshotRequestSchema, file, terminal);
  request.node ??= create(NodeSchema, { nodeId: NODE_DEFAULT });
  if (deadlineMs !== undefined) request.deadlineMs = deadlineMs;
  if (fenceMs !== undefined) request.fenceMs = fenceMs;
  const lines = out === undefined ? undefined : new LinesFile(out);
  const print = (jsonLine: string, text: string) => {
    lines?.write(jsonLine);
    terminal.out(json ? jsonLine : text);
  };
  const client = connect(options);
  try {
    const answer = await client.submitSnapshot(request, { timeoutMs: CALL_TIMEOUT_MS });
    const { result } = answer;
    print(answerJsonLine(answer), answerLine(result));
    if (result.case !== "accepted") return exitCodes.skipped;
    const outcomes: Outcome[] = [];
    const { sessionId, fenceMs: toFenceMs } = result.value;
    const progress = new Progress(
      (elapsedMs) => progressText(elapsedMs, request, outcomes, toFenceMs),
      terminal,
    );
    const session = { server, node: request.node, sessionId, fenceMs: toFenceMs };
    const summary = await followSession(client, session, {
      onOutcome: (value) => {
        outcomes.push(value);
        progress.clear();
        print(eventJsonLine({ case: "outcome", value }), "");
      },
      onBroken: ({ message }) => {
        progress.clear();
        terminal.err(`the connection to ${server} is lost (${message}), resuming\n`);
      },
    }).finally(() => progress.stop());
    const table = `\n${outcomeTable(outcomes)}\n${summaryLine(summary)}\n`;
    print(eventJsonLine({ case: "summary", value: summary }), table);
    const isComplete = summary.proved + summary.provedLate === summary.groups;
    return isComplete ? exitCodes.ok : exitCodes.notAll;
  } catch (error) {
    throw callError(error, server);
  } finally {
    lines?.close();
    client.close();
  }
}

function answerLine(result: SubmitSnapshotResponse["result"]): string {
  switch (result.case) {
    case "accepted": {
      const { sessionId, deadlineMs, fenceMs, predictedFinishMs } = result.value;
      const budgets = `starts within ${deadlineMs} ms, worthless after ${fenceMs} ms`;
      return `accepted: session ${sessionId}, ${budgets}, done in about ${predictedFinishMs} ms\n`;
    }
    case "skipped":
      return `skipped: ${lower(SkipReason[result.value.reason])}: ${result.value.detail}\n`;
    default:
      return "skipped: this command does not know the server's answer\n";
  }
}

function progressText(
  elapsedMs: number,
  { snapshot }: SubmitSnapshotRequest,
  outcomes: readonly Outcome[],
  fenceMs: number,
): string {
  const seconds = (ms: number) => (ms / 1000).toFixed(0);
  const groups = `${outcomes.length} of ${snapshot?.groups.length ?? 0} groups ended`;
  return `proving: ${groups}, ${seconds(elapsedMs)} s of at most ${seconds(fenceMs)} s`;
}
