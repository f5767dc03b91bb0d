/**
 * Which results `watch` has shown. A stream that is opened anew begins with all that the service
 * keeps of the node; what was shown before is not new. A request id may name another session once
 * the service has forgotten the first one, as after a restart: then all of it is new.
 */
import type {
  Opened,
  Outcome,
  StreamResultsResponse,
  Summary,
} from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { RequestState } from "../proto/gen/lean/aggregator/v1/aggregator_pb.js";

/** The service takes at most as many awaited requests. */
const AWAITED_MAX = 64;

/** Requests to remember: more than a service keeps of a node. */
const REQUESTS_MAX = 1024;

interface ShownRequest {
  readonly groups: Set<number>;
  isEnded: boolean;
  /** It was shown on an earlier stream, so this one may repeat it, up to its summary. */
  mayRepeat: boolean;
}

export class ShownResults {
  private run = "";
  /** By request id, the latest last. */
  private readonly requests = new Map<string, ShownRequest>();

  /**
   * The latest requests, for `StreamResultsRequest.awaited`: the service says which of them it has
   * forgotten. No groups, as another run of the service would keep those of its own session back.
   */
  awaited(): { requestId: string }[] {
    return [...this.requests.keys()].slice(-AWAITED_MAX).map((requestId) => ({ requestId }));
  }

  /** False for an outcome or summary that was passed in before, which is remembered. */
  isNew(event: StreamResultsResponse["event"]): boolean {
    switch (event.case) {
      case "opened":
        this.opened(event.value);
        return true;
      case "outcome":
        return this.isNewOutcome(event.value);
      case "summary":
        return this.isNewSummary(event.value);
      default:
        return true;
    }
  }

  private opened({ run, awaited }: Pick<Opened, "run" | "awaited">): void {
    if (run !== this.run) this.requests.clear();
    this.run = run;
    for (const { requestId, state } of awaited) {
      if (state === RequestState.UNKNOWN) this.requests.delete(requestId);
    }
    for (const shown of this.requests.values()) shown.mayRepeat = true;
  }

  private isNewOutcome({ requestId, groupIndex }: Pick<Outcome, "requestId" | "groupIndex">) {
    let shown = this.shownOf(requestId);
    // Nothing of a session follows its summary.
    if (shown.isEnded && !shown.mayRepeat) {
      this.requests.delete(requestId);
      shown = this.shownOf(requestId);
    }
    const isNew = !shown.groups.has(groupIndex);
    shown.groups.add(groupIndex);
    return isNew;
  }

  private isNewSummary({ requestId }: Pick<Summary, "requestId">): boolean {
    const shown = this.shownOf(requestId);
    const isNew = !shown.isEnded;
    shown.isEnded = true;
    shown.mayRepeat = false;
    return isNew;
  }

  private shownOf(requestId: string): ShownRequest {
    const shown = this.requests.get(requestId) ?? {
      groups: new Set<number>(),
      isEnded: false,
      mayRepeat: false,
    };
    this.requests.set(requestId, shown);
    const oldest = this.requests.keys().next();
    if (this.requests.size > REQUESTS_MAX && !oldest.done) this.requests.delete(oldest.value);
    return shown;
  }
}
