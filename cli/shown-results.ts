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

/** Requests to remember: more than a service keeps of a node. */
const REQUESTS_MAX = 1024;

interface ShownRequest {
  /** What was shown of each group, by which it is known again. */
  readonly groups: Map<number, string>;
  isEnded: boolean;
  /** It was shown on an earlier stream, so this one may repeat it, up to its summary. */
  mayRepeat: boolean;
}

export class ShownResults {
  private run = "";
  /** By request id, the latest last. */
  private readonly requests = new Map<string, ShownRequest>();

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

  private opened({ run }: Pick<Opened, "run">): void {
    if (run !== this.run) this.requests.clear();
    this.run = run;
    for (const shown of this.requests.values()) shown.mayRepeat = true;
  }

  private isNewOutcome(outcome: Outcome): boolean {
    const { requestId, groupIndex } = outcome;
    const mark = markOf(outcome);
    let shown = this.shownOf(requestId);
    const known = shown.groups.get(groupIndex);
    // Nothing of a session follows its summary, and no group ends twice.
    const isOver = shown.isEnded && !shown.mayRepeat;
    if (isOver || (known !== undefined && known !== mark)) {
      this.requests.delete(requestId);
      shown = this.shownOf(requestId);
    }
    const isNew = !shown.groups.has(groupIndex);
    shown.groups.set(groupIndex, mark);
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
      groups: new Map<number, string>(),
      isEnded: false,
      mayRepeat: false,
    };
    this.requests.set(requestId, shown);
    const oldest = this.requests.keys().next();
    if (this.requests.size > REQUESTS_MAX && !oldest.done) this.requests.delete(oldest.value);
    return shown;
  }
}

/** Differs between the outcomes of two sessions. Without what the fence changes: the proof. */
function markOf({ slot, message, status, reason, proveMs, queueMs }: Outcome): string {
  const root = Buffer.from(message).toString("hex");
  return [slot, root, status, reason, proveMs, queueMs].join(" ");
}
