/**
 * Follows one accepted session up to its summary and reports each group's outcome once. Resumes a
 * broken stream, and asks GetSession for outcomes that the stream missed. Gives up shortly after
 * the session's fence, when every group must have ended.
 */
import type { Outcome, Session, Summary } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AggregatorClient } from "../client/rpc/aggregator-client.js";
import { AggregatorError } from "../client/errors.js";
import { TIMER_MS_MAX } from "../client/rpc/unary-call.js";
import { resumeResults } from "../client/rpc/result-stream.js";
import { CommandError } from "./io/command.js";

/** Time for the last outcome to arrive after the fence, in milliseconds. */
const GRACE_MS = 2000;
const GET_TIMEOUT_MS = 2000;

export interface FollowedSession {
  /** Address of the service, for errors. */
  server: string;
  node: { nodeId: string };
  sessionId: string;
  /** Milliseconds from now to the session's fence. */
  fenceMs: number;
}

export interface SessionEvents {
  onOutcome(outcome: Outcome): void;
  /** The stream broke and is being resumed (false), or is up again (true): once for each change. */
  onConnection(isUp: boolean): void;
}

/**
 * Resolves with the session's summary. Rejects with `CommandError` when the session is lost, and
 * with `AggregatorError` when the service refuses the stream.
 */
export async function followSession(
  client: Pick<AggregatorClient, "streamResults" | "getSession">,
  session: FollowedSession,
  { onOutcome, onConnection }: SessionEvents,
): Promise<Summary> {
  const { node, sessionId, fenceMs } = session;
  const seen = new Set<number>();
  const report = (outcome: Outcome) => {
    if (seen.has(outcome.groupIndex)) return;
    seen.add(outcome.groupIndex);
    onOutcome(outcome);
  };
  let isUp = true;
  const turn = (now: boolean) => {
    if (now !== isUp) onConnection(now);
    isUp = now;
  };
  const signal = AbortSignal.timeout(Math.min(fenceMs + GRACE_MS, TIMER_MS_MAX));
  for await (const streamed of resumeResults(client, { node, sessionId }, signal)) {
    if (streamed.kind === "broken") {
      if (streamed.isFinal) throw streamed.error;
      turn(false);
    } else {
      turn(true);
      const { event } = streamed.response;
      if (event.case === "outcome") report(event.value);
      if (event.case === "summary") return event.value;
      if (event.case !== "gap") continue;
    }
    const known = await askForSession(client, session);
    known?.outcomes.forEach(report);
    if (known?.summary !== undefined) return known.summary;
  }
  throw lost(session, "no summary arrived by its fence");
}

/**
 * Returns the session from GetSession; undefined when the call fails. Rejects with `CommandError`
 * when the service does not know the session.
 */
async function askForSession(
  client: Pick<AggregatorClient, "getSession">,
  session: FollowedSession,
): Promise<Session | undefined> {
  const { node, sessionId } = session;
  try {
    return (await client.getSession({ node, sessionId }, { timeoutMs: GET_TIMEOUT_MS })).session;
  } catch (error) {
    const { kind } = AggregatorError.from(error);
    if (kind !== "not_found") return undefined;
    throw lost(session, "the service no longer knows it and may have restarted");
  }
}

function lost({ sessionId, server }: FollowedSession, why: string): CommandError {
  return new CommandError(`session ${sessionId} at ${server} is lost: ${why}`, "submit again");
}
