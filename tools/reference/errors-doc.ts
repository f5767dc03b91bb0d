/**
 * The text of docs/reference/errors.md: every code, reason and exit code, with what to do. Meanings
 * come from the comments of the proto and the help of the commands, what to do from the tables here:
 * a new kind, status or reason does not compile, or throws, without a line in them.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus } from "@connectrpc/connect/protocol-connect";
import { SKIP_REASONS } from "../../client/machine/events.js";
import { Refusal } from "../../server/errors.js";
import type { RefusalKind } from "../../server/errors.js";
import { connectErrorOf } from "../../server/rpc/status.js";
import { commandHelps } from "./cli-doc.js";
import type { ProtoFile } from "./descriptors.js";
import { readProto, row, valuesOf } from "./descriptors.js";
import { advice } from "./advice.js";

/** From the root of the checkout. */
export const ERRORS_DOCUMENT = "docs/reference/errors.md";

const INTRO = `# Errors and reasons

<!-- Written by \`make reference\` from proto/, server/errors.ts, client/machine/events.ts, the commands' help and
tools/reference/advice.ts: change those instead. -->

A call fails with a code, or it is answered. An answered snapshot is accepted or skipped; each group of an accepted
one ends once, with a status and a reason; each input that is not in its proof has a reason of its own. The message
of an error, and \`detail\` of an answer, say it for people; programs use the codes and reasons only.
`;

export function errorsDocument(): string {
  const proto = readProto("lean/aggregator/v1/aggregator.proto");
  return [
    INTRO,
    codesText(),
    skipsText(proto),
    enumText(proto, "OutcomeStatus", "How a group ends", advice.statuses),
    enumText(proto, "OutcomeReason", "Why a group has no proof", advice.reasons),
    enumText(proto, "LeftOutReason", "Why an input is not in the proof", advice.leftOut),
    adapterText(),
    exitCodesText(),
  ].join("\n");
}

function codesText(): string {
  const kinds = Object.entries(advice.kinds) as [RefusalKind, readonly [string, string]][];
  const rows = kinds.map(([kind, [meaning, todo]]) => {
    const { code } = connectErrorOf(new Refusal(kind, "", ""));
    return row([`\`${grpcName(code)}\``, String(code), httpOf(code), meaning, todo]);
  });
  const internal = new ConnectError("", Code.Internal).code;
  const last = ["`INTERNAL`", String(internal), httpOf(internal), ...advice.internal];
  const head = ["gRPC", "number", "HTTP, with JSON", "means", "do"];
  return `## Codes of calls

A message begins with the path of the field at fault, such as \`snapshot.groups[1].message\`, where there is one.

${table(head, [...rows, row(last)])}
`;
}

function skipsText(proto: ProtoFile): string {
  return enumText(proto, "SkipReason", "Why a snapshot is skipped", advice.skips);
}

function enumText(
  proto: ProtoFile,
  name: string,
  title: string,
  todos: Readonly<Record<string, string>>,
): string {
  const values = valuesOf(proto, name);
  const known = values.map(([value]) => value);
  const needless = Object.keys(todos).filter((value) => !known.includes(value));
  if (needless.length > 0) throw new Error(`${name} has no ${needless.join(", ")}`);
  const rows = values.map(([value, comment]) => {
    const todo = todos[value];
    if (todo === undefined) throw new Error(`advice.ts does not say what to do on ${value}`);
    return row([`\`${value}\``, comment, todo]);
  });
  const link = `[\`${name}\`](proto.md#${name.toLowerCase()})`;
  return `## ${title}\n\n${link} of the proto.\n\n${table(["value", "means", "do"], rows)}\n`;
}

function adapterText(): string {
  const own = Object.entries(advice.adapter);
  const missing = SKIP_REASONS.filter((reason) => !(reason in advice.adapter));
  const ofService = missing.map((reason) => `\`${reason}\``).join(", ");
  const rows = own.map(([reason, [meaning, todo]]) => row([`\`${reason}\``, meaning, todo]));
  return `## Why an adapter skips

The label \`reason\` of \`lean_aggregator_skipped_total\` on the node. ${ofService} are the service's, as above.

${table(["reason", "means", "do"], rows)}
`;
}

function exitCodesText(): string {
  const rows = commandHelps().flatMap(({ name, help }) => {
    const codes = exitCodesOf(help);
    if (codes.length === 0) return [];
    const texts = codes.map(([code, text]) => `**${code}** ${text}`);
    return [row([`\`${name.replace("lean-aggregator ", "")}\``, texts.join("<br>")])];
  });
  return `## Exit codes

Every command ends with 0 when it has done what it says, with 1 when something failed that a retry may change, and with
2 when a flag, a setting or a file is wrong and nothing was sent.

${table(["command", "exit codes"], rows)}
`;
}

/** The lines below "Exit codes:" of a help; a line without a number goes on with the one before. */
function exitCodesOf(help: string): [string, string][] {
  const [, text = ""] = help.split("\nExit codes:\n");
  const [block = ""] = text.split("\n\n");
  const joined = block.replaceAll(/\n {4,}/g, " ");
  return [...joined.matchAll(/^ +(\d+) {2}(.*)$/gm)].map(([, code = "", of = ""]) => [code, of]);
}

const grpcName = (code: Code) =>
  (Code[code] ?? "").replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
const httpOf = (code: Code) => String(codeToHttpStatus(code));
const table = (head: readonly string[], rows: readonly string[]) =>
  [row(head), row(head.map(() => "---")), ...rows].join("\n");
