/** A request of a node as the message that `GetSession` and `CancelSession` return. */
import { create } from "@bufbuild/protobuf";
import type { Session } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  SessionSchema,
  SessionState,
  TreeJobsSchema,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { RequestRecord } from "../../session/node-record.js";

export function sessionMessage(request: RequestRecord): Session {
  const { requestId, groups, outcomes, trees, summary } = request;
  return create(SessionSchema, {
    requestId,
    state: summary === undefined ? SessionState.IN_FLIGHT : SessionState.ENDED,
    outcomes: [...outcomes.values()].sort((a, b) => a.groupIndex - b.groupIndex),
    groups,
    trees: [...trees]
      .sort(([a], [b]) => a - b)
      .map(([groupIndex, { jobs }]) => create(TreeJobsSchema, { groupIndex, ...jobs })),
    ...(summary === undefined ? {} : { summary }),
  });
}
