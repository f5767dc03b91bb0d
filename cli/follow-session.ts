/**
 * Follows one accepted request up to its summary and reports each group's outcome once. Opens a
 * broken stream anew, and names the groups that it has. Gives up shortly after the session's fence,
 * when every group must have ended.
 */
import type { Outcome, Summary } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AggregatorClient } from "../client/rpc/aggregator-client.js";
import { liveResults } from "../client/rpc/live-results.js";
import { TIMER_MS_MAX } from "../client/rpc/unary-call.js";
import { CommandError } from "./io/command.js";

/** Time for the last outcome to arrive after the fence, in milliseconds. */
const GRACE_MS = 2000;

export interface FollowedSession {
  /** Address of the service, for errors. */
  server: string;
  node: { nodeId: string };
  requestId: string;
  /** Milliseconds from now to the session's fence. */
  fenceMs: number;
  /** Aborts when the user interrupts the command. */
  interrupted: AbortSignal;
}

export interface SessionEvents {
  onOutcome(outcome: Outcome): void;
  /** The stream broke and is being opened anew (false), or is up again (true): once for each change. */
  onConnection(isUp: boolean): void;
}

/**
 * Resolves with the session's summary. Rejects with `CommandError` when the session is lost or the
 * user interrupts, and with `AggregatorError` when the service refuses the stream.
 */
export async function followSession(
  client: Pick<AggregatorClient, "streamResults" | "reconnect">,
  session: FollowedSession,
  { onOutcome, onConnection }: SessionEvents,
): Promise<Summary> {
  const { server, node, requestId, fenceMs, interrupted } = session;
  const received = new Set<number>();
  let isUp = true;
  const turn = (now: boolean) => {
    if (now !== isUp) onConnection(now);
    isUp = now;
  };
  const request = () => ({
    node: { nodeId: node.nodeId },
    awaited: [{ requestId, receivedGroups: [...received] }],
    awaitedOnly: true,
  });
  const tooLate = AbortSignal.timeout(Math.min(fenceMs + GRACE_MS, TIMER_MS_MAX));
  const signal = AbortSignal.any([interrupted, tooLate]);
  for await (const streamed of liveResults(client, request, signal)) {
    if (streamed.kind === "broken") {
      if (streamed.error.kind === "not_found") {
        throw lost(session, "the service does not know it and may have restarted");
      }
      if (streamed.isFinal) throw streamed.error;
      turn(false);
      continue;
    }
    turn(true);
    const { event } = streamed.response;
    if (event.case === "summary") return event.value;
    if (event.case !== "outcome" || received.has(event.value.groupIndex)) continue;
    received.add(event.value.groupIndex);
    onOutcome(event.value);
  }
  if (!interrupted.aborted) throw lost(session, "no summary arrived by its fence");
  throw new CommandError(
    `interrupted: request ${requestId} goes on at ${server}`,
    `to see how it ends, submit again with --request-id ${requestId}`,
  );
}

function lost({ requestId, server }: FollowedSession, why: string): CommandError {
  return new CommandError(`request ${requestId} at ${server} is lost: ${why}`, "submit again");
}
