/** `lean-aggregator token` and `policy`: who may do what. Names, flags, help, and what runs. */
import type { Command } from "commander";
import { Option } from "commander";
import type { Terminal } from "./io/terminal.js";
import { priorities } from "../server/access/policy.js";
import { calls, operatorCalls } from "../server/access/policy-file.js";
import type { PolicyCheckOptions } from "./policy.js";
import type { TokenOptions } from "./token.js";

export interface AccessCommandsModules {
  terminal: Pick<Terminal, "out">;
  /** Told the code when a command has ended. */
  exit: (code: number) => void;
}

const help = {
  token: `
Prints a new token, once, and a line for the policy file, which keeps the token's
SHA-256 only. 'serve' takes tokens over TLS, loopback and Unix sockets.

Examples:
  lean-aggregator token
  lean-aggregator token --out node-1.token
  lean-aggregator submit snapshot.json --token-file node-1.token
  grpcurl -plaintext -H "authorization: Bearer $(cat node-1.token)" \\
    127.0.0.1:9190 lean.aggregator.v1.AggregatorService/GetServerInfo

Exit codes: 0 done, 2 wrong flag, or the file is there already.`,
  policy: `
A policy is a JSON file that 'serve --policy' reads again when it changes. What
it does not name is denied:
  {"principals": [{
    "name": "node-1",
    "certificates": ["DNS:node-1.lean.example"],
    "tokens": [{"sha256": "…", "expires": "2027-01-31T00:00:00Z"}],
    "sockets": ["/run/lean-aggregator/node.sock"],
    "anonymous": false,
    "nodes": ["node-1", "node-1-*"],
    "calls": ["SubmitSnapshot", "StreamResults", "GetServerInfo"],
    "priorities": ["proposal", "aggregation", "backlog"],
    "quota": {"sessionsInFlight": 4, "heldBytes": 67108864,
              "proverSecondsPerMinute": 30, "streams": 4, "callsPerMinute": 600}
  }]}
The first of 'certificates', 'tokens', 'sockets' (the service's own, for whoever
may open them) and 'anonymous' (whoever comes over loopback and shows nothing) that
fits says who calls. 'nodes' are the ids it speaks for. Metrics is a call too, for
/metrics. "operatorCalls" is for 'lean-aggregator admin'.

Of a certificate its first alternative name counts, as DNS:…, URI:… or email:…,
or without any its common name, as CN:…. What is shown decides alone: whoever sends
a wrong token is nobody, even over loopback. * stands for every call or priority,
and at a node id's end for any end of it. The health check, /livez and /readyz are
for everybody, reflection for anybody who is known.

Examples:
  lean-aggregator policy check policy.json`,
  check: `
Shows each principal, or with --principal whether it may do what is asked.

Examples:
  lean-aggregator policy check policy.json
  lean-aggregator policy check policy.json --principal node-1 --call SubmitSnapshot \\
    --node node-2 --priority backlog

Exit codes: 0 the file can be used, and it is allowed; 3 it is denied; 2 wrong
flag or file.`,
} as const;

export function addAccessCommands(program: Command, modules: AccessCommandsModules): void {
  const { terminal, exit } = modules;
  describe(program.command("token"), "make a token, and its line for the policy file", help.token)
    .option("--out <file>", "write the token to this new file instead of showing it")
    .action(async (options: TokenOptions) => {
      const { tokenCommand } = await import("./token.js");
      exit(tokenCommand(options, terminal));
    });
  const policy = program.command("policy");
  describe(policy, "say who may do what: look into a policy file", help.policy);
  describe(policy.command("check"), "is a policy right, and what would it allow?", help.check)
    .argument("<file>", "a policy, as 'serve --policy' takes it")
    .option("--principal <name>", "may this one?")
    .addOption(new Option("--call <name>", "call this?").choices([...calls, ...operatorCalls]))
    .option("--node <id>", "for this node?")
    .addOption(new Option("--priority <name>", "at this priority?").choices(priorities))
    .action(async (file: string, options: PolicyCheckOptions) => {
      const { policyCheckCommand } = await import("./policy.js");
      exit(policyCheckCommand(file, options, terminal));
    });
}

function describe(command: Command, summary: string, text: string): Command {
  return command.summary(summary).description(summary).addHelpText("after", text);
}
