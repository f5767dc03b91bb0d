/** `lean-aggregator admin restart`: replaces a prover process of a device. */
import type { Command } from "commander";
import type {
  DeviceStatus,
  RestartProverResponse,
} from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { ProverRole } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { ending, exitCodes } from "../io/command.js";
import type { AdminModules, AdminOptions } from "./ask.js";
import { addAdminCommand, ask } from "./ask.js";

const help = `
A running proof ends first. With a standby the device goes on within
milliseconds; without one it is unavailable while the new prover starts. A failed
device starts a prover at once.

Examples:
  lean-aggregator admin restart cpu
  lean-aggregator admin restart cpu --standby
`;

interface RestartOptions extends AdminOptions {
  /** Replace the standby instead of the active prover. */
  standby?: boolean;
}

export function addRestartCommand(admin: Command, modules: AdminModules): void {
  const summary = "replace a device's prover by a new one";
  addAdminCommand(admin, "restart", { summary, help })
    .argument("<device>", "its name in 'admin provers'")
    .option("--standby", "replace the standby instead of the active prover")
    .action(
      ending(modules, async (deviceId: string, options: RestartOptions) => {
        const { standby = false } = options;
        const role = standby ? ProverRole.STANDBY : ProverRole.ACTIVE;
        const text = ({ device }: RestartProverResponse) =>
          `device ${deviceId}: ${standby ? "a new standby starts" : restartText(device)}\n`;
        await ask("restartProver", { deviceId, role }, text, options, modules.terminal);
        return exitCodes.ok;
      }),
    );
}

function restartText(device: DeviceStatus | undefined): string {
  if (device?.restartDue !== true) return "a new prover starts";
  return "a new prover starts when its running attempt has ended";
}
