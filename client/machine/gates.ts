/** Rules 1 and 3: whether the node submits now. */
import type { AdapterSkipReason, EventOf } from "./events.js";
import type { Draft } from "./draft.js";
import { targetOf } from "./endpoints.js";
import { latchKey } from "./state.js";

/** Answers `ask` with `go`, or with a skip for the first reason that applies. */
export function answerAsk<P>(draft: Draft<P>, event: EventOf<P, "ask">): void {
  const reason = reasonToSkip(draft, event);
  draft.emit(reason === null ? { kind: "go" } : { kind: "skip", requestId: null, reason });
}

function reasonToSkip<P>(draft: Draft<P>, event: EventOf<P, "ask">): AdapterSkipReason | null {
  const { gates, mayReplace } = event;
  if (!gates.isAggregator) return "not_aggregator";
  if (gates.isSynced === false) return "not_synced";
  if (!gates.hasState) return "missing_state";
  if (gates.isPaused === true) return "paused";
  if (!mayReplace && draft.next.latches.has(latchKey(event))) return "in_flight";
  if (draft.next.isClosing) return "draining";
  return targetOf(draft, null) === null ? "unreachable" : null;
}
