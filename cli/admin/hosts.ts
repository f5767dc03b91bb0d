/** `lean-aggregator admin hosts`: the engine, the lane hosts on it, and what became of them. */
import type { Command } from "commander";
import type {
  FleetTotals,
  LaneHost,
  ListHostsResponse,
} from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { LaneHostState } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { ending, exitCodes } from "../io/command.js";
import { lower } from "../io/outcome-line.js";
import type { Column } from "../io/table.js";
import { formatTable } from "../io/table.js";
import type { AdminModules, AdminOptions } from "./ask.js";
import { addAdminCommand, ask } from "./ask.js";

const help = `
The states of a lane host:
  used        its lanes get work
  joining     heard; its clock or its provers are not known yet
  left_out    heard; it speaks another version, or has too many proof systems
  distrusted  heard; its proofs or verdicts were wrong three times in ten minutes
  gone        not heard any more; listed for an hour
Without the engine, the others are out of reach.

'clock ms' is the service's clock less that of the host. Both count from some
instant of their own: only a change of it means something. The totals are since
the service started. 'admin provers' has the state of each device.

Examples:
  lean-aggregator admin hosts
  lean-aggregator admin hosts --json | jq '.hosts[] | select(.cause != "")'
`;

export function addHostsCommand(admin: Command, modules: AdminModules): void {
  const summary = "list the lane hosts on the engine, and why one is left out or gone";
  addAdminCommand(admin, "hosts", { summary, help }).action(
    ending(modules, async (options: AdminOptions) => {
      await ask("listHosts", {}, hostsText, options, modules.terminal);
      return exitCodes.ok;
    }),
  );
}

interface Row extends LaneHost {
  /** False without the engine: then nobody is heard, and the state is the last one known. */
  isInReach: boolean;
}

const columns: readonly Column<Row>[] = [
  { title: "host", cell: ({ hostId }) => hostId },
  { title: "state", cell: stateText },
  { title: "devices", cell: ({ deviceIds }) => deviceIds.join(", ") || "-" },
  { title: "attempts", align: "right", cell: ({ attempts }) => String(attempts) },
  { title: "heard ms ago", align: "right", cell: ({ heardAgoMs }) => String(heardAgoMs) },
  {
    title: "clock ms",
    align: "right",
    cell: ({ clockOffsetMs }) => (clockOffsetMs === undefined ? "-" : clockOffsetMs.toFixed(1)),
  },
  { title: "run", cell: ({ run }) => run || "-" },
  { title: "cause", cell: ({ cause }) => cause || "-" },
];

function hostsText({ engine, hosts, totals }: ListHostsResponse): string {
  if (engine === undefined) {
    return "this service has no engine, and so no lane hosts: see --engine in 'serve --help'\n";
  }
  const state = engine.up ? "up" : "down";
  const rows = hosts.map((host) => ({ ...host, isInReach: engine.up }));
  return [
    `engine ${state}: ${engine.detail}; cell ${engine.cell}\n`,
    hosts.length === 0 ? "no lane host is heard\n" : formatTable(columns, rows),
    totals === undefined ? "" : totalsText(totals),
  ].join("\n");
}

function stateText({ state, isInReach }: Row): string {
  return isInReach || state === LaneHostState.GONE ? lower(LaneHostState[state]) : "out of reach";
}

function totalsText({ adopted, taken, gone, attemptsGone }: FleetTotals): string {
  const causes = gone.map(({ cause, count }) => `${count} ${cause}`).join(", ");
  return (
    `adopted ${adopted}, taken ${taken}; hosts gone: ${causes}; ` +
    `attempts that ended with them: ${attemptsGone}\n`
  );
}
