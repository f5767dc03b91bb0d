/**
 * A table in plain text of who may do what, one call of each kind to hold it against, and policy
 * files to make it true.
 */
import { writeFileSync } from "node:fs";
import { Code, ConnectError } from "@connectrpc/connect";
import type { AggregatorService } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { tokenHash } from "../../../server/access/token.js";
import { freshPath } from "../../helpers/command-line.js";
import type { AggregatorClient } from "../../../tools/harness/wire/contract.js";
import { inventedGroup } from "../../../tools/harness/wire/contract.js";
import { snapshot } from "../../../tools/harness/vectors.js";

/** What a cell says: served, not allowed, or by nobody known. */
export type Verdict = "yes" | "no" | "who?";

export interface Row {
  who: string;
  cells: Record<string, Verdict>;
}

/** A line of names, then a line a row; the first column names the row. */
export function parseMatrix(text: string): Row[] {
  const [head = [], ...rows] = text
    .trim()
    .split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim()));
  return rows.map(([who = "", ...cells]) => {
    const named = head.slice(1).map((name, at) => [name, verdictOf(cells[at])]);
    return { who, cells: Object.fromEntries(named) as Record<string, Verdict> };
  });
}

function verdictOf(cell: string | undefined): Verdict {
  if (cell === "yes" || cell === "no" || cell === "who?") return cell;
  throw new Error(`${String(cell)} is no verdict`);
}

interface Attempt {
  method: keyof typeof AggregatorService.method;
  /** How it ends where it is served. */
  served: Code | undefined;
  call: (client: AggregatorClient, nodeId: string) => Promise<unknown>;
}

/** One call of each kind. */
export const attempts: Record<string, Attempt> = {
  Submit: {
    method: "submitSnapshot",
    served: undefined,
    call: (client, nodeId) =>
      client.submitSnapshot({ node: { nodeId }, snapshot: snapshot(100, [inventedGroup(0)]) }),
  },
  Stream: {
    method: "streamResults",
    served: undefined,
    call: (client, nodeId) => {
      const events = client.streamResults({ node: { nodeId }, noFollow: true });
      return events[Symbol.asyncIterator]().next();
    },
  },
  Get: {
    method: "getSession",
    served: Code.NotFound,
    call: (client, nodeId) => client.getSession({ node: { nodeId }, requestId: "none" }),
  },
  Cancel: {
    method: "cancelSession",
    served: Code.NotFound,
    call: (client, nodeId) => client.cancelSession({ node: { nodeId }, requestId: "none" }),
  },
  Verify: {
    method: "verifyAggregate",
    served: Code.InvalidArgument,
    call: (client, nodeId) => client.verifyAggregate({ node: { nodeId } }),
  },
  Info: {
    method: "getServerInfo",
    served: undefined,
    call: (client) => client.getServerInfo({}),
  },
};

/** Calls, and says what came of it. Throws for an answer that is neither served nor a denial. */
export async function attempt(
  client: AggregatorClient,
  name: string,
  nodeId: string,
): Promise<{ verdict: Verdict; message: string }> {
  const known = attempts[name];
  if (known === undefined) throw new Error(`no call ${name}`);
  const error = await known.call(client, nodeId).then(
    () => undefined,
    (thrown: unknown) => ConnectError.from(thrown),
  );
  const message = error?.rawMessage ?? "";
  if (error?.code === Code.Unauthenticated) return { verdict: "who?", message };
  if (error?.code === Code.PermissionDenied) return { verdict: "no", message };
  if (error?.code === known.served) return { verdict: "yes", message };
  throw error ?? new Error(`${name} was served, and should not have been`);
}

/** A policy file has a token like this. */
export const tokenOf = (token: string, expires?: string) => ({
  sha256: tokenHash(token).toString("hex"),
  expires,
});

/** The path of a file with these principals. */
export function policyFile(...of: object[]): string {
  const path = freshPath("policy.json");
  writeFileSync(path, JSON.stringify({ principals: of }));
  return path;
}
