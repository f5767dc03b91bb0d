/** Requests as a node's record takes them in. */
import type { NodeRecord } from "../../server/session/node-record.js";

type Asked = Parameters<NodeRecord["add"]>[0];

/** A request whose session is named after it, received at 0. */
export function askedOf(
  requestId: string,
  own: Pick<Asked, "fenceAtMs" | "groups" | "nodeEpoch">,
): Asked {
  const { fenceAtMs: fenceMs } = own;
  const accepted = { deadlineMs: 1, fenceMs, deadlineSource: 1, predictedFinishMs: 1 };
  const sessionId = `session-${requestId}`;
  return { requestId, sessionId, contentDigest: "", receivedAtMs: 0, accepted, ...own };
}
