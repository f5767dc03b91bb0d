/** `lean-aggregator admin`: the commands that look after a running service. */
import type { Command } from "commander";
import { addCommand } from "../io/command.js";
import type { AdminModules } from "./ask.js";
import { addDrainCommands } from "./drain.js";
import { addEndCommand } from "./end.js";
import { addHostsCommand } from "./hosts.js";
import { addLogLevelCommand } from "./log-level.js";
import { addProversCommand } from "./provers.js";
import { addRestartCommand } from "./restart.js";
import { addSessionsCommand } from "./sessions.js";
import { addTopCommand } from "./top.js";

const help = `
These commands call the operator's listener of 'serve': --admin, by default
127.0.0.1:9192. Without --policy everyone who reaches that address may use them.
With --policy a principal needs "operatorCalls".

Examples:
  lean-aggregator admin top
  lean-aggregator admin provers
  lean-aggregator admin hosts
  lean-aggregator admin drain cpu --wait 20000
  lean-aggregator admin end 0f1e2d3c4b5a6978
  lean-aggregator admin log-level debug

Exit codes:
  0  done
  1  the service failed, refused the request or cannot be reached
  2  a flag or argument is wrong
`;

export function addAdminCommands(program: Command, modules: AdminModules): void {
  const summary = "look after a running service: its sessions, devices, provers and lane hosts";
  const admin = addCommand(program, "admin", { summary, help });
  addTopCommand(admin, modules);
  addSessionsCommand(admin, modules);
  addProversCommand(admin, modules);
  addHostsCommand(admin, modules);
  addDrainCommands(admin, modules);
  addRestartCommand(admin, modules);
  addEndCommand(admin, modules);
  addLogLevelCommand(admin, modules);
}
