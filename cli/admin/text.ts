/** Sessions and devices as the operator reads them. */
import type {
  DeviceStatus,
  LiveGroup,
  LiveSession,
  Prover,
} from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { GroupState, ProverRole } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import {
  DeviceState,
  OutcomeStatus,
  Priority,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Column } from "../io/table.js";
import { formatTable } from "../io/table.js";

const sessionColumns: readonly Column<LiveSession>[] = [
  { title: "session", cell: ({ sessionId }) => sessionId },
  { title: "node", cell: ({ nodeId }) => nodeId },
  { title: "slot", align: "right", cell: ({ slot }) => String(slot) },
  { title: "priority", cell: ({ priority }) => lower(Priority[priority]) },
  { title: "age ms", align: "right", cell: ({ ageMs }) => String(ageMs) },
  { title: "deadline in ms", align: "right", cell: (each) => leftText(each.deadlineLeftMs) },
  { title: "fence in ms", align: "right", cell: (each) => leftText(each.fenceLeftMs) },
  { title: "groups", cell: ({ groups }) => groupsText(groups) },
];

export function sessionsText(sessions: readonly LiveSession[]): string {
  return sessions.length === 0
    ? "no session is in flight\n"
    : formatTable(sessionColumns, sessions);
}

const deviceColumns: readonly Column<DeviceStatus>[] = [
  { title: "device", cell: ({ deviceId }) => deviceId },
  { title: "state", cell: stateText },
  { title: "attempt", align: "right", cell: ({ running }) => textOr(running?.attempt) },
  { title: "session", cell: ({ running }) => running?.sessionId || "-" },
  { title: "group", align: "right", cell: ({ running }) => textOr(running?.groupIndex) },
  { title: "running ms", align: "right", cell: (each) => textOr(each.running?.proof?.runningMs) },
  {
    title: "predicted ms",
    align: "right",
    cell: (each) => textOr(each.running?.proof?.predictedMs),
  },
  { title: "lease", align: "right", cell: ({ lease }) => String(lease) },
  { title: "cause", cell: causeText },
];

const proverColumns: readonly Column<Prover & { deviceId: string }>[] = [
  { title: "device", cell: ({ deviceId }) => deviceId },
  { title: "prover", cell: ({ role }) => lower(ProverRole[role]) },
  { title: "pid", align: "right", cell: ({ pid }) => textOr(pid) },
  { title: "set up", cell: ({ ready }) => (ready ? "yes" : "no") },
  { title: "resident MB", align: "right", cell: (each) => String(each.residentBytes / 1_000_000n) },
];

export function proversText(devices: readonly DeviceStatus[]): string {
  const provers = devices.flatMap((device) =>
    device.provers.map((prover) => ({ ...prover, deviceId: device.deviceId })),
  );
  return `${formatTable(deviceColumns, devices)}\n${formatTable(proverColumns, provers)}`;
}

/** `2 proved, running #7, 3 queued`, in the node's order; `#` is the attempt. */
function groupsText(groups: readonly LiveGroup[]): string {
  const runs: { text: string; count: number }[] = [];
  for (const text of groups.map(groupText)) {
    const last = runs.at(-1);
    if (last?.text === text) last.count++;
    else runs.push({ text, count: 1 });
  }
  return runs.map(({ text, count }) => (count === 1 ? text : `${count} ${text}`)).join(", ");
}

function groupText({ state, attempt, status }: LiveGroup): string {
  if (state === GroupState.ENDED && status !== OutcomeStatus.UNSPECIFIED) {
    return lower(OutcomeStatus[status]);
  }
  const name = lower(GroupState[state]);
  return state === GroupState.ENDED || attempt === 0 ? name : `${name} #${attempt}`;
}

function stateText({ state, drained, restartDue }: DeviceStatus): string {
  const also = [...(drained ? ["drained"] : []), ...(restartDue ? ["restart due"] : [])];
  return [lower(DeviceState[state]), ...also].join(", ");
}

function causeText({ cause, retryInMs }: DeviceStatus): string {
  if (cause === "") return "-";
  return retryInMs === undefined ? cause : `${cause}; tried again in ${retryInMs} ms`;
}

const leftText = (ms: number) => (ms === 0 ? "over" : String(ms));
const textOr = (value: number | undefined) => (value === undefined ? "-" : String(value));
const lower = (name: string | undefined) => (name ?? "unknown").toLowerCase();
