/**
 * Which results `watch` has shown. A stream that is opened anew names the latest requests with the
 * groups that are shown, and the service sends only the others; what it sends twice is not new.
 */
import type { StreamResultsResponse } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";

/** The service takes at most as many awaited requests. */
const AWAITED_MAX = 64;

/** Requests to remember: more than a service keeps of a node. */
const REQUESTS_MAX = 1024;

export class ShownResults {
  /** By request id, the latest last. */
  private readonly requests = new Map<string, { groups: Set<number>; isEnded: boolean }>();

  /** The latest requests, for `StreamResultsRequest.awaited`. */
  awaited(): { requestId: string; receivedGroups: number[] }[] {
    return [...this.requests]
      .slice(-AWAITED_MAX)
      .map(([requestId, { groups }]) => ({ requestId, receivedGroups: [...groups] }));
  }

  /** False for an outcome or summary that was passed in before, which is remembered. */
  isNew(event: StreamResultsResponse["event"]): boolean {
    if (event.case !== "outcome" && event.case !== "summary") return true;
    const shown = this.shownOf(event.value.requestId);
    if (event.case === "outcome") {
      const { groupIndex } = event.value;
      const isNew = !shown.groups.has(groupIndex);
      shown.groups.add(groupIndex);
      return isNew;
    }
    const isNew = !shown.isEnded;
    shown.isEnded = true;
    return isNew;
  }

  private shownOf(requestId: string) {
    const shown = this.requests.get(requestId) ?? { groups: new Set<number>(), isEnded: false };
    this.requests.set(requestId, shown);
    const oldest = this.requests.keys().next();
    if (this.requests.size > REQUESTS_MAX && !oldest.done) this.requests.delete(oldest.value);
    return shown;
  }
}
