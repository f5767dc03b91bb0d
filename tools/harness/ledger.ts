/**
 * Records which requests the service accepted from one node, and what it reported of them. Finds
 * groups that are lost, reported twice, or reported in another way than by `GetSession`. Pure.
 */
import type {
  Outcome,
  Session,
  StreamResultsResponse,
} from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { OutcomeStatus, SessionState } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";

/**
 * What was reported of one request. The answer to its submission and the events of the stream come
 * in either order.
 */
export interface Account {
  /** Number of groups; undefined until the answer to the submission has arrived. */
  groups: number | undefined;
  /** By group index. */
  outcomes: Map<number, Outcome>;
  /** True once the summary has arrived. */
  isEnded: boolean;
}

export class Ledger {
  /** One sentence for each problem, in the order in which they were found. */
  readonly problems: string[] = [];
  private readonly accounts = new Map<string, Account>();
  private readonly settled = new Set<string>();

  /** Records the answer to a submission: a request of so many groups. */
  accepted(requestId: string, groups: number): void {
    const account = this.account(requestId);
    if (account.groups !== undefined) this.problem(requestId, "was accepted twice");
    account.groups = groups;
  }

  /**
   * Records an event of the node's stream. Returns the request's id for a summary, which ends it.
   */
  told({ event }: StreamResultsResponse): string | undefined {
    switch (event.case) {
      case "outcome":
        this.outcome(event.value);
        return undefined;
      case "summary": {
        const { requestId, groups } = event.value;
        const account = this.account(requestId);
        if (account.isEnded) this.problem(requestId, "ended twice");
        account.isEnded = true;
        const told = account.outcomes.size;
        if (told !== groups) this.problem(requestId, `ended with ${told} of ${groups} outcomes`);
        return requestId;
      }
      default:
        return undefined;
    }
  }

  /** Compares what was reported of a request with what `GetSession` returned, and closes it. */
  settle(requestId: string, session: Session | undefined): void {
    const { groups, outcomes } = this.account(requestId);
    if (session?.state !== SessionState.ENDED) this.problem(requestId, "has not ended after all");
    const now = session?.outcomes ?? [];
    if (now.length !== groups) this.problem(requestId, `has ${now.length} of ${groups} outcomes`);
    for (const { groupIndex, status, reason } of now) {
      const before = outcomes.get(groupIndex);
      const isSame = before?.status === status && before.reason === reason;
      if (isSame) continue;
      const statuses = [before?.status ?? 0, status].map((each) => OutcomeStatus[each]);
      this.problem(requestId, `group ${groupIndex} was reported ${statuses.join(" and is ")}`);
    }
    this.accounts.delete(requestId);
    this.settled.add(requestId);
  }

  /** Requests, by id, that are not settled: they have not ended, or their submission no answer. */
  open(): ReadonlyMap<string, Readonly<Account>> {
    return this.accounts;
  }

  private outcome(outcome: Outcome): void {
    const { requestId, groupIndex } = outcome;
    const { outcomes, isEnded } = this.account(requestId);
    if (isEnded) this.problem(requestId, `group ${groupIndex} was reported after the end`);
    if (outcomes.has(groupIndex)) this.problem(requestId, `group ${groupIndex} was reported twice`);
    outcomes.set(groupIndex, outcome);
  }

  private account(requestId: string): Account {
    if (this.settled.has(requestId)) this.problem(requestId, "was reported after it was settled");
    const known = this.accounts.get(requestId);
    if (known !== undefined) return known;
    const account: Account = { groups: undefined, outcomes: new Map(), isEnded: false };
    this.accounts.set(requestId, account);
    return account;
  }

  private problem(requestId: string, what: string): void {
    this.problems.push(`request ${requestId} ${what}`);
  }
}
