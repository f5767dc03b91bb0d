/** The `admin` part of the command tree: flags, help, and which function runs. */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import type { AdminOptions, AdminTerminal, DrainOptions, RestartOptions } from "./calls.js";
import { limits } from "../../server/limits.js";
import { tokenOption } from "../options.js";

export interface AdminCommandsModules {
  terminal: AdminTerminal;
  /** Told the code when a command has ended. */
  exit: (code: number) => void;
}

const help = {
  admin: `
'serve' listens for the operator on 127.0.0.1:9192, unless its --admin says
otherwise or "off". Whoever reaches that address may do all of this, or with
--policy those whom it gives operatorCalls.

Examples:
  lean-aggregator admin provers
  lean-aggregator admin drain cpu --wait 20000
  lean-aggregator admin end 0f1e2d3c4b5a6978

Exit codes: 0 done, 1 the service failed, refused or cannot be reached, 2 wrong
flag or argument.`,
  sessions: `
'groups' tells how each group stands, in the node's order; #7 is the attempt that
works at it, as in 'admin provers'.

Examples:
  lean-aggregator admin sessions
  lean-aggregator admin sessions --json | jq -r '.sessions[].sessionId'`,
  provers: `
'predicted ms' is what the running proof takes in all, by what the device has
learned. A device without work is idle, whether or not it is drained.

Examples:
  lean-aggregator admin provers
  lean-aggregator admin provers --json | jq '.devices[] | select(.drained)'`,
  drain: `
What the device works at ends normally. While all devices are drained the service
is not ready and skips snapshots as no_prover. A drain does not outlive the
service: once started anew, it has all its devices.

Examples:
  lean-aggregator admin drain gpu0
  lean-aggregator admin drain gpu0 --wait 20000 && reset-the-card

Exit codes: 0 drained, and quiet if --wait was given; 1 still busy after --wait,
no such device, or the service failed or cannot be reached; 2 wrong flag.`,
  undrain: `
Examples:
  lean-aggregator admin undrain gpu0`,
  restart: `
A running proof ends first. A standby takes over in milliseconds; without one the
device is away for as long as a prover takes to be set up. On a failed device,
setup is tried at once.

Examples:
  lean-aggregator admin restart cpu
  lean-aggregator admin restart cpu --standby`,
  end: `
Groups end as if the session's node had cancelled it: queued ones not_started,
running ones stopped, their prover killed. The node is told on its stream.

Examples:
  lean-aggregator admin end 0f1e2d3c4b5a6978`,
} as const;

export function addAdminCommands(program: Command, modules: AdminCommandsModules): void {
  const { terminal, exit } = modules;
  const load = () => import("./calls.js");
  const admin = program.command("admin");
  describe(admin, "look after a running service: its sessions, devices and provers", help.admin);
  const add = (name: Exclude<keyof typeof help, "admin">, summary: string) =>
    describe(admin.command(name), summary, help[name])
      .addOption(serverOption())
      .addOption(tokenOption())
      .option("--json", "the raw message, every field of it");

  add("sessions", "list the sessions in flight, oldest first").action(
    async (options: AdminOptions) => exit(await (await load()).sessionsCommand(options, terminal)),
  );
  add("provers", "list devices, what they work at, and their prover processes").action(
    async (options: AdminOptions) => exit(await (await load()).proversCommand(options, terminal)),
  );
  add("drain", "keep new work from a device")
    .argument("<device>", "as 'admin provers' names it")
    .addOption(waitOption())
    .action(async (device: string, options: DrainOptions) =>
      exit(await (await load()).drainCommand(device, options, terminal)),
    );
  add("undrain", "let a device have work again")
    .argument("<device>", "as 'admin provers' names it")
    .action(async (device: string, options: AdminOptions) =>
      exit(await (await load()).undrainCommand(device, options, terminal)),
    );
  add("restart", "replace a device's prover by a fresh one")
    .argument("<device>", "as 'admin provers' names it")
    .option("--standby", "replace the standby instead")
    .action(async (device: string, options: RestartOptions) =>
      exit(await (await load()).restartCommand(device, options, terminal)),
    );
  add("end", "end a session, whoever submitted it")
    .argument("<session>", "its id, as 'admin sessions' lists it")
    .action(async (session: string, options: AdminOptions) =>
      exit(await (await load()).endCommand(session, options, terminal)),
    );
}

function describe(command: Command, summary: string, text: string): Command {
  return command.summary(summary).description(summary).addHelpText("after", text);
}

const serverOption = () =>
  new Option("--server <address>", "the operator's listener: host:port or unix:/path")
    .env("LEAN_AGGREGATOR_ADMIN")
    .default("127.0.0.1:9192")
    .argParser((text) => {
      if (/^(unix:\/.+|[^\s:]+:\d{1,5}|\[[0-9a-f:]+\]:\d{1,5})$/.test(text)) return text;
      throw new InvalidArgumentError("expected host:port or unix:/path");
    });

const waitOption = () =>
  new Option("--wait <ms>", "until nothing runs on it, so long at most").argParser((text) => {
    const ms = /^\d{1,6}$/.test(text) ? Number(text) : 0;
    if (ms >= 1 && ms <= limits.waitMsMax) return ms;
    throw new InvalidArgumentError(`expected 1 to ${limits.waitMsMax} milliseconds`);
  });
