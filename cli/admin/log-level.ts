/** `lean-aggregator admin log-level`: the lowest level that the service logs. */
import type { Command } from "commander";
import { Argument } from "commander";
import { LogLevel } from "../../proto/gen/lean/aggregator/admin/v1/admin_pb.js";
import type { LogLevel as LevelName } from "../../server/log/log.js";
import { logLevels } from "../../server/log/log.js";
import { ending, exitCodes } from "../io/command.js";
import { lower } from "../io/outcome-line.js";
import type { AdminModules, AdminOptions } from "./ask.js";
import { addAdminCommand, ask } from "./ask.js";

const help = `
Without a level it prints the current one. A level that is set holds until the
service restarts, or reloads its settings at SIGHUP. 'debug' logs each call,
group and attempt.

Examples:
  lean-aggregator admin log-level
  lean-aggregator admin log-level debug
`;

const levels = {
  debug: LogLevel.DEBUG,
  info: LogLevel.INFO,
  warn: LogLevel.WARN,
  error: LogLevel.ERROR,
  silent: LogLevel.SILENT,
} as const satisfies Record<LevelName, LogLevel>;

export function addLogLevelCommand(admin: Command, modules: AdminModules): void {
  const { terminal } = modules;
  addAdminCommand(admin, "log-level", { summary: "print or set what the service logs", help })
    .addArgument(new Argument("[level]", "lowest level to log").choices(logLevels))
    .action(
      ending(modules, async (name: LevelName | undefined, options: AdminOptions) => {
        if (name === undefined) {
          const text = ({ level }: { level: LogLevel }) => `${lower(LogLevel[level])}\n`;
          await ask("getLogLevel", {}, text, options, terminal);
        } else {
          const text = ({ previous }: { previous: LogLevel }) =>
            `the log level is ${name}, it was ${lower(LogLevel[previous])}\n`;
          await ask("setLogLevel", { level: levels[name] }, text, options, terminal);
        }
        return exitCodes.ok;
      }),
    );
}
