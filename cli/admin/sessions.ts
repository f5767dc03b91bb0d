/** `lean-aggregator admin sessions`: the sessions in flight. */
import type { Command } from "commander";
import type {
  InFlightGroup,
  InFlightSession,
} from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { GroupState } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { OutcomeStatus, Priority } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ending, exitCodes } from "../io/command.js";
import { lower } from "../io/outcome-line.js";
import type { Column } from "../io/table.js";
import { formatTable } from "../io/table.js";
import type { AdminModules, AdminOptions } from "./ask.js";
import { addAdminCommand, ask } from "./ask.js";

const help = `
'votes' counts those in a proof by now, and all: each is a validator and a message.
'groups' lists the state of each group in the node's order. 'attempt 2' follows
a first one without a result, as after a prover's death; '3 of 5 jobs' is a group over
the limits of one proof. 'request' is the node's name for its snapshot, 'session' the
one that 'admin end' takes.

Examples:
  lean-aggregator admin sessions
  lean-aggregator admin sessions --json | jq -r '.sessions[].sessionId'
`;

export function addSessionsCommand(admin: Command, modules: AdminModules): void {
  const summary = "list the sessions in flight, oldest first";
  addAdminCommand(admin, "sessions", { summary, help }).action(
    ending(modules, async (options: AdminOptions) => {
      const text = ({ sessions }: { sessions: InFlightSession[] }) => sessionsText(sessions);
      await ask("listSessions", {}, text, options, modules.terminal);
      return exitCodes.ok;
    }),
  );
}

const columns: readonly Column<InFlightSession>[] = [
  { title: "session", cell: ({ sessionId }) => sessionId },
  { title: "node", cell: ({ nodeId }) => nodeId },
  { title: "request", cell: ({ requestId }) => requestId },
  { title: "slot", align: "right", cell: ({ slot }) => String(slot) },
  { title: "priority", cell: ({ priority }) => lower(Priority[priority]) },
  { title: "age ms", align: "right", cell: ({ ageMs }) => String(ageMs) },
  { title: "deadline in ms", align: "right", cell: (each) => leftText(each.deadlineLeftMs) },
  { title: "fence in ms", align: "right", cell: (each) => leftText(each.fenceLeftMs) },
  { title: "votes", align: "right", cell: (each) => `${each.votesProved} of ${each.votes}` },
  { title: "groups", cell: ({ groups }) => groupsText(groups) },
];

function sessionsText(sessions: readonly InFlightSession[]): string {
  return sessions.length === 0 ? "no sessions in flight\n" : formatTable(columns, sessions);
}

/** For example `2 proved, running (attempt 2), 3 queued`, in the node's order. */
function groupsText(groups: readonly InFlightGroup[]): string {
  const spans: { text: string; count: number }[] = [];
  for (const text of groups.map(groupText)) {
    const last = spans.at(-1);
    if (last?.text === text) last.count++;
    else spans.push({ text, count: 1 });
  }
  return spans.map(({ text, count }) => (count === 1 ? text : `${count} ${text}`)).join(", ");
}

function groupText({ state, attempt, status, jobs, jobsDone }: InFlightGroup): string {
  if (state === GroupState.ENDED && status !== OutcomeStatus.UNSPECIFIED) {
    return lower(OutcomeStatus[status]);
  }
  const name = lower(GroupState[state]);
  if (state === GroupState.QUEUED && attempt > 0) return `${name} (after attempt ${attempt})`;
  if (state !== GroupState.RUNNING) return name;
  const notes = [
    ...(attempt > 1 ? [`attempt ${attempt}`] : []),
    ...(jobs > 0 ? [`${jobsDone} of ${jobs} jobs`] : []),
  ];
  return notes.length === 0 ? name : `${name} (${notes.join(", ")})`;
}

const leftText = (ms: number) => (ms === 0 ? "over" : String(ms));
