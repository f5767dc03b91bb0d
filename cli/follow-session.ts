/**
 * The outcomes of one accepted session, each group's once, up to its summary. Survives a broken
 * stream by resuming it, and a gap by asking for the session itself; gives up a little after the
 * session's fence, by when every group has ended.
 */
import type { Outcome, Session, Summary } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { AggregatorClient } from "../client/rpc/aggregator-client.js";
import { AggregatorError } from "../client/errors.js";
import { resumeResults } from "../client/rpc/result-stream.js";
import { CommandError } from "./io/command.js";

/** For the last outcome's way here after the fence. */
const GRACE_MS = 2000;
const GET_TIMEOUT_MS = 2000;

export interface FollowedSession {
  /** Names the server in errors. */
  server: string;
  node: { nodeId: string };
  sessionId: string;
  /** Time left to the session's fence. */
  fenceMs: number;
}

export interface SessionEvents {
  onOutcome(outcome: Outcome): void;
  /** The stream broke and is being resumed. */
  onBroken(error: AggregatorError): void;
}

/** Rejects with `CommandError` when the session is lost. */
export async function followSession(
  client: Pick<AggregatorClient, "streamResults" | "getSession">,
  session: FollowedSession,
  { onOutcome, onBroken }: SessionEvents,
): Promise<Summary> {
  const { node, sessionId, fenceMs } = session;
  const seen = new Set<number>();
  const tell = (outcome: Outcome) => {
    if (seen.has(outcome.groupIndex)) return;

    seen.add(outcome.groupIndex);
    onOutcome(outcome);
  };
  const signal = AbortSignal.timeout(fenceMs + GRACE_MS);
  for await (const streamed of resumeResults(client, { node, sessionId }, signal)) {
    if (streamed.kind === "broken") {
      if (streamed.isFinal) throw streamed.error;
      onBroken(streamed.error);
    } else {
      const { event } = streamed.response;
      if (event.case === "outcome") tell(event.value);
      if (event.case === "summary") return event.value;
      if (event.case !== "gap") continue;
    }
    const known = await askForSession(client, session);
    known?.outcomes.forEach(tell);
    if (known?.summary !== undefined) return known.summary;
  }
  throw lost(session, "no word of its end by its fence");
}

/** Undefined when the server cannot be asked just now. */
async function askForSession(
  client: Pick<AggregatorClient, "getSession">,
  session: FollowedSession,
): Promise<Session | undefined> {
  const { node, sessionId } = session;
  try {
    return (await client.getSession({ node, sessionId }, { timeoutMs: GET_TIMEOUT_MS })).session;
  } catch (error) {
    const { kind } = AggregatorError.from(error);
    if (kind === "not_found")
      throw lost(session, "the service knows it no more, it may have restarted");
    return undefined;
  }
}

function lost({ sessionId, server }: FollowedSession, why: string): CommandError {
  return new CommandError(
    `the session is lost: ${why}`,
    `${sessionId} at ${server}`,
    "submit again",
  );
}
