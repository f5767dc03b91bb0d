/** `lean-aggregator policy check`: is a policy file valid, and what does it allow? */
import type { Command } from "commander";
import { Option } from "commander";
import type { Ask, Policy, Principal } from "../server/access/policy.js";
import { permit } from "../server/access/policy.js";
import { calls, operatorCalls, PolicyError } from "../server/access/policy-file.js";
import type { PolicySource } from "../server/access/policy-watch.js";
import { loadPolicy } from "../server/access/policy-watch.js";
import { priorityNames } from "../server/work/priority.js";
import type { PriorityName } from "../server/work/priority.js";
import type { CommandModules, Terminal } from "./io/command.js";
import { addCommand, ending, exitCodes, idOption, usageError } from "./io/command.js";
import type { Column } from "./io/table.js";
import { formatTable } from "./io/table.js";

const policyHelp = `
A policy is a JSON file for 'serve --policy'. It lists principals: who they are,
and what they may do. Everything else is denied. The service reads the file
again when it changes.
  {"principals": [{
    "name": "node-1",
    "certificates": ["DNS:node-1.lean.example"],
    "tokens": [{"sha256": "…", "expires": "2027-01-31T00:00:00Z"}],
    "sockets": ["/run/lean-aggregator/nodes.sock"],
    "anonymous": false,
    "nodes": ["node-1", "node-1-*"],
    "calls": ["SubmitSnapshot", "StreamResults", "CancelSession"],
    "priorities": ["proposal", "aggregation", "backlog"],
    "quota": {"sessionsInFlight": 4, "heldBytes": 67108864,
              "proverSecondsPerMinute": 30, "streams": 4, "callsPerMinute": 600}
  }]}

Who calls is decided by the first of these that the caller shows:
  "certificates"  the client certificate's first alternative name (DNS:…, URI:…,
                  IP Address:… or email:…), or its CN:… if it has none
  "tokens"        made by 'lean-aggregator token'; an invalid token is denied
  "sockets"       the Unix socket of the service on which the call arrives
  "anonymous"     a call over loopback that shows none of the above

What a principal may do:
  "nodes"         the node ids it may act for; a trailing * matches the rest
  "calls"         calls of AggregatorService, and Metrics for /metrics; * for all.
                  A node's adapter needs the three above
  "operatorCalls" calls of 'lean-aggregator admin'; * for all
  "priorities"    the priorities at which it may submit; * for all
  "quota"         limits of its own, below those of the service

Every caller may use the health check, /livez and /readyz. Every principal may
use reflection.

Examples:
  lean-aggregator policy check policy.json
`;

const checkHelp = `
Prints a line for each principal. With --principal it says whether that one may
do what the other flags name.

Examples:
  lean-aggregator policy check policy.json
  lean-aggregator policy check policy.json --principal node-1 \\
    --call SubmitSnapshot --node node-2 --priority backlog

Exit codes:
  0  the file is valid, and what was asked is allowed
  2  a flag or FILE is wrong
  3  what was asked is denied
`;

export interface PolicyCheckOptions {
  principal?: string;
  call?: string;
  node?: string;
  priority?: PriorityName;
}

export function addPolicyCommands(
  program: Command,
  modules: Pick<CommandModules, "terminal" | "exit">,
): void {
  const policy = addCommand(program, "policy", {
    summary: "the policy file: who may do what",
    help: policyHelp,
  });
  addCommand(policy, "check", {
    summary: "check a policy file, and what it allows",
    help: checkHelp,
  })
    .argument("<file>", "a policy, as for 'serve --policy'")
    .option("--principal <name>", "ask about this principal")
    .addOption(
      new Option("--call <name>", "may it make this call?").choices([...calls, ...operatorCalls]),
    )
    .addOption(idOption("--node <id>", "may it act for this node?"))
    .addOption(
      new Option("--priority <name>", "may it submit at this priority?").choices(
        Object.values(priorityNames),
      ),
    )
    .action(
      ending(modules, (file: string, options: PolicyCheckOptions) =>
        policyCheckCommand(file, options, modules.terminal),
      ),
    );
}

/**
 * Reads a policy file. Throws one `CommandError` with exit code 2 that lists every problem and its
 * place in the file.
 */
export function readPolicy(path: string): PolicySource {
  try {
    return loadPolicy(path);
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error;
    const { problems } = error;
    const lines = problems.map(({ place, text }) => `\n  ${place}: ${text}`);
    throw usageError(
      `invalid policy ${path}: ${problems.length} ${problems.length === 1 ? "error" : "errors"}`,
      `see 'lean-aggregator policy --help'${lines.join("")}`,
      error,
    );
  }
}

/** The sockets that principals are identified by and on which this service does not listen. */
export function socketsNotServed(
  { principals }: Policy,
  { listen, admin }: { listen: readonly string[]; admin: string },
): string[] {
  const served = [...listen, admin];
  const named = principals.flatMap(({ sockets }) => sockets);
  return [...new Set(named)].filter((path) => !served.includes(`unix:${path}`));
}

/**
 * Prints a line for each principal or, with `principal` in the options, whether that one may do
 * what the other options name. Returns the exit code.
 */
export function policyCheckCommand(
  file: string,
  options: PolicyCheckOptions,
  terminal: Pick<Terminal, "out">,
): number {
  const { policy } = readPolicy(file);
  const { principal: name, call, node, priority } = options;
  if (name === undefined) {
    const asked = Object.keys(options)[0];
    if (asked !== undefined) {
      throw usageError(`--${asked} needs --principal`, "name a principal of the policy");
    }
    const { principals } = policy;
    const table = `${formatTable(columns, principals)}\nthe policy is valid`;
    const denial = "the policy is valid, and denies every call: it has no principals";
    terminal.out(`${principals.length === 0 ? denial : table}\n`);
    return exitCodes.ok;
  }
  const decision = permit(principalOf(policy, name, file), {
    ...(call !== undefined && { call, isOperators: operatorCalls.includes(call) }),
    ...(node !== undefined && { nodeId: node }),
    ...(priority !== undefined && { priority }),
  } satisfies Ask);
  const isAllowed = decision.kind === "allowed";
  terminal.out(isAllowed ? `allowed: ${askText(options)}\n` : `denied: ${decision.detail}\n`);
  return isAllowed ? exitCodes.ok : exitCodes.notAll;
}

function principalOf({ principals }: Policy, name: string, file: string): Principal {
  const found = principals.find((principal) => principal.name === name);
  if (found !== undefined) return found;
  const names = principals.map((principal) => principal.name).join(", ");
  throw usageError(
    `--principal ${name} is not in ${file}`,
    names === "" ? "add it to the policy" : `name one of ${names}`,
  );
}

function askText({ principal, call, node, priority }: PolicyCheckOptions): string {
  return [
    `principal ${principal ?? ""} may`,
    call === undefined ? "make calls" : `call ${call}`,
    ...(node === undefined ? [] : [`for node ${node}`]),
    ...(priority === undefined ? [] : [`at priority ${priority}`]),
  ].join(" ");
}

const list = (names: readonly string[]) => names.join(" ") || "-";

const columns: readonly Column<Principal>[] = [
  { title: "principal", cell: ({ name }) => name },
  { title: "identified by", cell: waysText },
  { title: "nodes", cell: ({ nodes }) => list(nodes) },
  { title: "calls", cell: (principal) => list(principal.calls) },
  { title: "operator calls", cell: ({ operatorCalls: names }) => list(names) },
  { title: "priorities", cell: (principal) => list(principal.priorities) },
  {
    title: "quota",
    cell: ({ quota }) => list(Object.entries(quota).map((pair) => pair.join("="))),
  },
];

function waysText({ certificates, tokens, sockets, anonymous }: Principal): string {
  const until = tokens.map(({ expiresUnixMs }) =>
    expiresUnixMs === undefined ? "token" : `token until ${new Date(expiresUnixMs).toISOString()}`,
  );
  return list([...certificates, ...until, ...sockets, ...(anonymous ? ["loopback"] : [])]);
}
