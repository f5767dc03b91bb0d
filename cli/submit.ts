/** `lean-aggregator submit FILE`: submits one snapshot and shows how each of its groups ends. */
import { create } from "@bufbuild/protobuf";
import type { Command } from "commander";
import type {
  Outcome,
  SubmitSnapshotRequest,
  SubmitSnapshotResponse,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  NodeSchema,
  OutcomeReason,
  OutcomeStatus,
  ProofSystemSchema,
  SkipReason,
  SubmitSnapshotRequestSchema,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { votesProved } from "../proto/votes.js";
import { limits } from "../server/limits.js";
import type { ProofSystemName } from "../server/work/prover-description.js";
import { followSession } from "./follow-session.js";
import { callError } from "./io/call-error.js";
import type { CommandModules } from "./io/command.js";
import { addCommand, ending, exitCodes, idOption, msOption, NODE_DEFAULT } from "./io/command.js";
import type { ConnectOptions } from "./io/connect.js";
import { addConnectOptions, connect } from "./io/connect.js";
import { answerJsonLine, eventJsonLine, jsonLinesOption } from "./io/json-lines.js";
import { openLinesFile } from "./io/lines-file.js";
import { isComplete, lower, outcomeTable, summaryLine } from "./io/outcome-line.js";
import { Progress } from "./io/progress.js";
import { systemOption } from "./io/proof-system.js";
import { readMessage } from "./io/read-input.js";

const help = `
FILE is a SubmitSnapshotRequest in JSON, or in binary if its name ends in .bin.
"-" reads JSON from standard input. A snapshot that names no node is submitted
as node "${NODE_DEFAULT}". Roots, keys, signatures and proofs are hex after 0x, or base64;
--json and --out print hex.

The deadline is the last moment at which a proof may start. The fence is the
moment after which a proof is worthless: one that still runs is killed. The
command waits until every group has ended, so at most until the fence.

A vote is a validator and a message. The table shows how many of each group's votes
are in its proof, and what became of the others: a group may be proved in part.

A service may have several proof systems, which 'info' lists. A snapshot that names
none gets the first. The name is a scheme, which means the first of that scheme, or a
scheme and a revision.

A request id names the snapshot. The same id with the same snapshot is no second
submission: the command shows how the first one ends, or has ended. Ctrl-C ends
the command only, not what it has submitted.

Examples:
  lean-aggregator submit snapshot.json
  lean-aggregator submit snapshot.json --deadline-ms 20000 --fence-ms 30000
  lean-aggregator submit snapshot.json --out outcomes.jsonl
  lean-aggregator submit snapshot.json --request-id slot-100
  lean-aggregator submit snapshot.json --proof-system "leanxmss py-lean-pq-0.7.0"
  lean-aggregator submit - --json < snapshot.json | jq .summary.votes

Exit codes:
  0  every vote is in a proof, or covered: a child has it, and nothing was to be proved
  1  the service failed, refused the request or cannot be reached; or Ctrl-C
  2  a flag or FILE is wrong; nothing was sent
  3  some votes are in no proof and not covered
  4  the service skipped the snapshot
`;

const CALL_TIMEOUT_MS = 5000;

export interface SubmitOptions extends ConnectOptions {
  /** Print JSON lines instead of a table. */
  json?: boolean;
  /** Also write the JSON lines to this file. */
  out?: string;
  /** Replaces the file's request id. Default: the file's, else the service chooses one. */
  requestId?: string;
  /** Replaces the file's. Default: the file's, else the service's. */
  proofSystem?: ProofSystemName;
  /** In milliseconds; replaces the file's deadline. Default: the file's, else 5000. */
  deadlineMs?: number;
  /** In milliseconds; replaces the file's fence. Default: the file's, else the service's. */
  fenceMs?: number;
}

export function addSubmitCommand(program: Command, modules: CommandModules): void {
  const summary = "submit a snapshot, and show how each of its groups ends";
  addConnectOptions(addCommand(program, "submit", { summary, help }))
    .argument("<file>", "the snapshot, or - for standard input")
    .addOption(jsonLinesOption())
    .option("--out <file>", "also write the lines of --json to this file, at the end")
    .addOption(
      idOption("--request-id <id>", "name of the snapshot (default: FILE's, or a new one)"),
    )
    .addOption(systemOption("what proves (default: FILE's, or the service's)"))
    .addOption(
      msOption(
        "--deadline-ms <ms>",
        "no proof starts later (default: FILE's, or 5000)",
        limits.deadlineMsMax,
      ),
    )
    .addOption(
      msOption(
        "--fence-ms <ms>",
        "running proofs are killed (default: FILE's, or the service's)",
        limits.fenceMsMax,
      ),
    )
    .action(
      ending(modules, (file: string, options: SubmitOptions) =>
        submitCommand(file, options, modules),
      ),
    );
}

export async function submitCommand(
  file: string,
  options: SubmitOptions,
  { terminal, interrupted }: Pick<CommandModules, "terminal" | "interrupted">,
): Promise<number> {
  const { server, json = false, out } = options;
  const request = requestOf(
    await readMessage(SubmitSnapshotRequestSchema, file, terminal),
    options,
  );
  const lines = out === undefined ? undefined : openLinesFile(out);
  const print = (jsonLine: string, text: string) => {
    lines?.write(jsonLine);
    terminal.out(json ? jsonLine : text);
  };
  const client = connect(options);
  let isEnded = false;
  try {
    const answer = await client.submitSnapshot(request, { timeoutMs: CALL_TIMEOUT_MS });
    const { result } = answer;
    print(answerJsonLine(answer), answerLine(result));
    isEnded = result.case !== "accepted";
    if (result.case !== "accepted") return exitCodes.skipped;
    const outcomes: Outcome[] = [];
    const { requestId, fenceMs } = result.value;
    let doing = "proving";
    const progress = new Progress(
      (elapsedMs) => `${doing}: ${progressText(elapsedMs, request, outcomes, fenceMs)}`,
      terminal,
    );
    const { node } = request;
    // Called only here: before, Ctrl-C ends the process.
    const followed = { server, node, requestId, fenceMs, interrupted: interrupted() };
    const summary = await followSession(client, followed, {
      onOutcome: (value) => {
        outcomes.push(value);
        progress.clear();
        print(eventJsonLine({ case: "outcome", value }), "");
      },
      onConnection: (isUp) => {
        progress.clear();
        doing = isUp ? "proving" : `no connection to ${server}`;
        const text = isUp
          ? `reconnected to ${server}`
          : `connection to ${server} lost, reconnecting`;
        terminal.err(`${text}\n`);
      },
    }).finally(() => progress.stop());
    const table = `\n${outcomeTable(outcomes)}\n${summaryLine(summary)}\n`;
    print(eventJsonLine({ case: "summary", value: summary }), table);
    isEnded = true;
    terminal.err(adviceOn(outcomes, request));
    return isComplete(summary) ? exitCodes.ok : exitCodes.notAll;
  } catch (error) {
    throw await callError(error, options);
  } finally {
    client.close();
    await lines?.close(isEnded);
  }
}

/** The file's request with what the options replace. */
function requestOf(
  { node = create(NodeSchema, { nodeId: NODE_DEFAULT }), ...file }: SubmitSnapshotRequest,
  { requestId = file.requestId, proofSystem, deadlineMs, fenceMs }: SubmitOptions,
) {
  return {
    ...file,
    node,
    requestId,
    ...(proofSystem !== undefined && {
      proofSystem: create(ProofSystemSchema, {
        ...proofSystem,
        logInvRate: file.proofSystem?.logInvRate ?? 0,
      }),
    }),
    ...(deadlineMs !== undefined && { deadlineMs }),
    ...(fenceMs !== undefined && { fenceMs }),
  };
}

function answerLine(result: SubmitSnapshotResponse["result"]): string {
  switch (result.case) {
    case "accepted": {
      const { requestId, deadlineMs, fenceMs, predictedFinishMs } = result.value;
      const budgets = `deadline in ${deadlineMs} ms, fence in ${fenceMs} ms`;
      return `accepted: request ${requestId}, ${budgets}, ready in about ${predictedFinishMs} ms\n`;
    }
    case "skipped":
      return `skipped: ${lower(SkipReason[result.value.reason])}: ${result.value.detail}\n`;
    default:
      return "skipped: the service answered in a way that this version does not know\n";
  }
}

/** What to do where the deadline or the fence came first; empty where neither did. */
function adviceOn(
  outcomes: readonly Outcome[],
  { deadlineMs = 0 }: Pick<SubmitSnapshotRequest, "deadlineMs">,
): string {
  const { deadlineMsMax, fenceMsMax } = limits;
  const { FENCE, DEADLINE, PREDICTED_MISS } = OutcomeReason;
  const isLate = outcomes.some(
    ({ status, reason }) =>
      (status === OutcomeStatus.STOPPED && reason === FENCE) ||
      (status === OutcomeStatus.NOT_STARTED && (reason === DEADLINE || reason === PREDICTED_MISS)),
  );
  if (!isLate || deadlineMs >= deadlineMsMax) return "";
  const most = `--deadline-ms ${deadlineMsMax} --fence-ms ${fenceMsMax}`;
  return `there was too little time for a proof: ${most} gives it the most, 'info' shows what it takes\n`;
}

function progressText(
  elapsedMs: number,
  { snapshot }: Pick<SubmitSnapshotRequest, "snapshot">,
  outcomes: readonly Outcome[],
  fenceMs: number,
): string {
  const seconds = (ms: number) => (ms / 1000).toFixed(0);
  const groups = `${outcomes.length} of ${snapshot?.groups.length ?? 0} groups ended`;
  const votes = outcomes.reduce((sum, each) => sum + (each.votes ? votesProved(each.votes) : 0), 0);
  return `${groups}, ${votes} votes proved, ${seconds(elapsedMs)} s of at most ${seconds(fenceMs)} s`;
}
