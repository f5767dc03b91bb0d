/** `lean-aggregator doctor`: adds the command. The checks are in `doctor.ts`. */
import type { Command } from "commander";
import type { CommandModules } from "../io/command.js";
import { addCommand, ending } from "../io/command.js";
import { addSettingsOptions, readSettings } from "../run/settings.js";
import { sourcesOf } from "../run/settings-sources.js";

const help = `
Checks what 'serve' needs with the same settings, and prints a line for each
check:
  ok    nothing to do
  WARN  the service works, but slower or with less
  FAIL  the service cannot start, or cannot prove
The library of each device is set up in a process of its own, which takes seconds;
not while a service holds the device.
A line that is not ok says what to do. Run it as the user of the service, whose
folders and permissions it checks. It leaves no file behind.

Examples:
  lean-aggregator doctor
  lean-aggregator doctor --config settings.json

Exit codes:
  0  no check failed
  1  a check failed
  2  a flag or setting is wrong
`;

export function addDoctorCommand(program: Command, modules: CommandModules): void {
  const { env } = modules;
  const summary = "check this machine for 'serve', and say what to fix";
  addSettingsOptions(addCommand(program, "doctor", { summary, help })).action(
    ending(modules, async (options: Record<string, unknown>) => {
      const config = readSettings(sourcesOf(options, env));
      // Loaded only here: the checks load most of the service.
      const { doctor } = await import("./doctor.js");
      return doctor(config, modules);
    }),
  );
}
