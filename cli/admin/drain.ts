/** `lean-aggregator admin drain` and `undrain`: whether a device gets new work. */
import type { Command } from "commander";
import type {
  DeviceStatus,
  DrainDeviceResponse,
} from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import { DeviceState } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { limits } from "../../server/limits.js";
import { ending, exitCodes, msOption } from "../io/command.js";
import type { AdminModules, AdminOptions } from "./ask.js";
import { addAdminCommand, ask } from "./ask.js";

const drainHelp = `
A running proof ends normally. While all devices are drained, the service is not
ready and skips snapshots with no_prover. A drain ends when the service does.

Examples:
  lean-aggregator admin drain gpu0
  lean-aggregator admin drain gpu0 --wait 20000 && reset-the-card

Exit codes:
  0  drained; with --wait: and nothing runs on it
  1  still busy after --wait, no such device, or the service cannot be reached
  2  a flag or argument is wrong
`;

const undrainHelp = `
Examples:
  lean-aggregator admin undrain gpu0
`;

interface DrainOptions extends AdminOptions {
  /** Milliseconds to wait until nothing runs on the device. Default: no wait. */
  wait?: number;
}

export function addDrainCommands(admin: Command, modules: AdminModules): void {
  const summary = "give a device no new work";
  addAdminCommand(admin, "drain", { summary, help: drainHelp })
    .argument("<device>", "its name in 'admin provers'")
    .addOption(
      msOption("--wait <ms>", "wait at most this long until nothing runs on it", limits.waitMsMax),
    )
    .action(
      ending(modules, async (deviceId: string, options: DrainOptions) => {
        const { wait: waitMs = 0 } = options;
        const request = { deviceId, drained: true, waitMs };
        const text = (response: DrainDeviceResponse) =>
          `device ${deviceId} is drained: it gets no new work; ${workText(response.device)}\n`;
        const { device } = await ask("drainDevice", request, text, options, modules.terminal);
        return waitMs > 0 && isBusy(device) ? exitCodes.error : exitCodes.ok;
      }),
    );
  addAdminCommand(admin, "undrain", { summary: "give a device work again", help: undrainHelp })
    .argument("<device>", "its name in 'admin provers'")
    .action(
      ending(modules, async (deviceId: string, options: AdminOptions) => {
        const request = { deviceId, drained: false };
        const text = () => `device ${deviceId} gets work again\n`;
        await ask("drainDevice", request, text, options, modules.terminal);
        return exitCodes.ok;
      }),
    );
}

/** What still runs on a device in this state; other states: nothing. */
const running: ReadonlyMap<DeviceState | undefined, string> = new Map([
  [DeviceState.STARTING, "its prover is still being set up"],
  [DeviceState.PROVING, "a proof still runs"],
  [DeviceState.STOPPING, "a killed prover has not yet ended"],
]);

function isBusy(device: DeviceStatus | undefined): boolean {
  return running.has(device?.state);
}

function workText(device: DeviceStatus | undefined): string {
  return running.get(device?.state) ?? "nothing runs on it";
}
