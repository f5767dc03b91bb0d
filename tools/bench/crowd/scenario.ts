/** A scenario that `crowd.ts` runs, and its result: figures, and what was expected of them. */
import type { SubmitSnapshotResponse } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  OutcomeReason,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { BenchService } from "../with-service.js";
import type { Row } from "../report.js";
import { quantile } from "../statistics.js";
import type { StreamNode } from "../../harness/wire/stream-node.js";

/** Deadline and fence that no proof of a scenario misses, in milliseconds. */
export const ROOMY = { deadlineMs: 60_000, fenceMs: 120_000 };

export interface Expectation {
  what: string;
  /** What was found, in few words. */
  found: string;
  /** True when what was found is what was expected. */
  holds: boolean;
}

export interface ScenarioResult {
  rows: readonly Row[];
  /** Lines to print below the table. */
  notes?: readonly string[];
  expectations: readonly Expectation[];
}

export interface Scenario {
  name: string;
  run(service: BenchService, progress: (line: string) => void): Promise<ScenarioResult>;
}

/** How one group ended, at its node. */
export interface Ending {
  outcome: Outcome;
  /** Milliseconds from the call that submitted the group to the arrival of its outcome. */
  resultMs: number;
}

/** An expectation that holds when `found` and `expected` are the same as JSON. */
export function expectation(what: string, found: unknown, expected: unknown): Expectation {
  const [is, should] = [found, expected].map((each) => JSON.stringify(each));
  return { what, found: is ?? "nothing", holds: is === should };
}

/** Returns the session's id. Throws, naming the node `who`, when the snapshot was skipped. */
export function acceptedId({ result }: SubmitSnapshotResponse, who: string): string {
  if (result.case === "accepted") return result.value.requestId;
  throw new Error(`${who} was skipped: ${result.value?.detail ?? "no answer"}`);
}

/** The outcome's status, with its reason if it has one, for example `stopped/fence`. */
export function endingName({ status, reason }: Outcome): string {
  const of = OutcomeStatus[status].toLowerCase();
  return reason === OutcomeReason.UNSPECIFIED ? of : `${of}/${OutcomeReason[reason].toLowerCase()}`;
}

/** A row of the table: how groups ended, and the times of those that were proved, in ms. */
export function endingsRow(who: string, endings: readonly Ending[]): Row {
  const names = endings.map(({ outcome }) => endingName(outcome));
  const counts = [...new Set(names)].map((name) => {
    return `${names.filter((each) => each === name).length} ${name}`;
  });
  const proved = endings.filter(({ outcome }) => outcome.proof.length > 0);
  const of = (name: string, figures: readonly number[]) => ({
    [`${name}P50Ms`]: Math.round(quantile(figures, 0.5)),
    [`${name}MaxMs`]: Math.round(Math.max(...figures)),
  });
  return {
    who,
    groups: endings.length,
    ...of(
      "queue",
      proved.map(({ outcome }) => outcome.queueMs),
    ),
    ...of(
      "prove",
      proved.map(({ outcome }) => outcome.proveMs),
    ),
    ...of(
      "result",
      proved.map(({ resultMs }) => resultMs),
    ),
    ended: counts.join(", "),
  };
}

/** Expects that each group of all nodes was reported once, and as `GetSession` reports it. */
export function ledgerExpectation(nodes: readonly StreamNode[]): Expectation {
  const problems = nodes.flatMap(({ node, ledger }) => [
    ...ledger.problems.map((what) => `${node.nodeId}: ${what}`),
    ...[...ledger.open().keys()].map((id) => `${node.nodeId}: request ${id} is open`),
  ]);
  return expectation("every accepted group ends once, and GetSession agrees", problems, []);
}

/** Reads how many proofs the service has made, and how many groups shared another group's proof. */
export async function proofCounts(service: BenchService) {
  const metrics = await service.metrics();
  const count = (name: string) => metrics.get(name) ?? NaN;
  return {
    proofs: count("lean_aggregator_server_proof_seconds_count"),
    shared: count("lean_aggregator_server_shared_groups_total"),
  };
}
