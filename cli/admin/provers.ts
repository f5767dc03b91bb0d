/** `lean-aggregator admin provers`: devices, their work, and their prover processes. */
import type { Command } from "commander";
import type { DeviceStatus, Prover } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { ProverRole } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { DeviceState } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { ending, exitCodes } from "../io/command.js";
import { lower } from "../io/outcome-line.js";
import { systemText } from "../io/proof-system.js";
import type { Column } from "../io/table.js";
import { formatTable } from "../io/table.js";
import type { AdminModules, AdminOptions } from "./ask.js";
import { addAdminCommand, ask } from "./ask.js";

const help = `
'predicted ms' is the expected time of the whole running proof, from what the
device has learned. A device without work is idle, drained or not. A device of a
lane host is named HOST.DEVICE; 'admin hosts' lists the hosts.

Examples:
  lean-aggregator admin provers
  lean-aggregator admin provers --json | jq '.devices[] | select(.drained)'
`;

export function addProversCommand(admin: Command, modules: AdminModules): void {
  const summary = "list devices, what they work on, and their prover processes";
  addAdminCommand(admin, "provers", { summary, help }).action(
    ending(modules, async (options: AdminOptions) => {
      const text = ({ devices }: { devices: DeviceStatus[] }) => proversText(devices);
      await ask("listProvers", {}, text, options, modules.terminal);
      return exitCodes.ok;
    }),
  );
}

const deviceColumns: readonly Column<DeviceStatus>[] = [
  { title: "device", cell: ({ deviceId }) => deviceId },
  { title: "state", cell: stateText },
  { title: "proof system", cell: ({ proofSystem }) => systemText(proofSystem) },
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
  { title: "ready", cell: ({ ready }) => (ready ? "yes" : "no") },
  { title: "resident MB", align: "right", cell: (each) => String(each.residentBytes / 1_000_000n) },
];

function proversText(devices: readonly DeviceStatus[]): string {
  const provers = devices.flatMap((device) =>
    device.provers.map((prover) => ({ ...prover, deviceId: device.deviceId })),
  );
  return `${formatTable(deviceColumns, devices)}\n${formatTable(proverColumns, provers)}`;
}

function stateText({ state, drained, restartDue }: DeviceStatus): string {
  const also = [...(drained ? ["drained"] : []), ...(restartDue ? ["restart due"] : [])];
  return [lower(DeviceState[state]), ...also].join(", ");
}

function causeText({ cause, retryInMs, standbyCause }: DeviceStatus): string {
  const retry = retryInMs === undefined ? "" : `; retry in ${retryInMs} ms`;
  const standby = standbyCause === "" ? "" : `no standby: ${standbyCause}`;
  const causes = [cause === "" ? "" : `${cause}${retry}`, standby].filter((text) => text !== "");
  return causes.join("; ") || "-";
}

const textOr = (value: number | undefined) => (value === undefined ? "-" : String(value));
