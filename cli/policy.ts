/** `lean-aggregator policy check`: can a policy file be used, and what would it allow? */
import { usageError } from "./io/command.js";
import { exitCodes } from "./io/exit-codes.js";
import type { Column } from "./io/table.js";
import { formatTable } from "./io/table.js";
import type { Terminal } from "./io/terminal.js";
import type { Ask, Policy, Principal, PriorityName } from "../server/access/policy.js";
import { permit } from "../server/access/policy.js";
import { operatorCalls } from "../server/access/policy-file.js";
import { readPolicy } from "./io/read-policy.js";

export interface PolicyCheckOptions {
  principal?: string;
  call?: string;
  node?: string;
  priority?: PriorityName;
}

/** Without a principal, a line each; with one, whether it may do what is asked, and why. */
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
      throw usageError(`--${asked} is asked for somebody`, file, "name one with --principal");
    }
    terminal.out(`${formatTable(columns, policy.principals)}\nthe policy can be used\n`);
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
  throw usageError(`there is no principal ${name}`, file, `it has ${names || "none"}`);
}

function askText({ principal, call, node, priority }: PolicyCheckOptions): string {
  return [
    `principal ${principal ?? ""} may`,
    call === undefined ? "call something" : `call ${call}`,
    ...(node === undefined ? [] : [`for node ${node}`]),
    ...(priority === undefined ? [] : [`at priority ${priority}`]),
  ].join(" ");
}

const list = (names: readonly string[]) => names.join(" ") || "-";

const columns: readonly Column<Principal>[] = [
  { title: "principal", cell: ({ name }) => name },
  { title: "known by", cell: waysText },
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
