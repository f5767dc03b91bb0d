/** What `crowd.ts` runs, and what a scenario hands back: figures, and what was expected of them. */
import type { SubmitSnapshotResponse } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import {
  OutcomeReason,
  OutcomeStatus,
} from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { Outcome } from "../../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import type { BenchService } from "../with-service.js";
import type { Row } from "../report.js";
import { quantile } from "../statistics.js";
import type { StreamNode } from "../../harness/stream-node.js";

/** Every budget outlasts its proof, unless the scenario is about that. */
export const ROOMY = { deadlineMs: 60_000, fenceMs: 120_000 };

export interface Expectation {
  what: string;
  /** What was found, in few words. */
  found: string;
  holds: boolean;
}

export interface ScenarioResult {
  rows: readonly Row[];
  /** What the table has no column for. */
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
  /** From the call that submitted it, in milliseconds. */
  resultMs: number;
}

export function expectation(what: string, found: unknown, expected: unknown): Expectation {
  const [is, should] = [found, expected].map((each) => JSON.stringify(each));
  return { what, found: is ?? "nothing", holds: is === should };
}

/** The id of the session of a snapshot that must be accepted. */
export function acceptedId({ result }: SubmitSnapshotResponse, who: string): string {
  if (result.case === "accepted") return result.value.sessionId;
  throw new Error(`${who} was skipped: ${result.value?.detail ?? "no answer"}`);
}

/** Status, with the reason where there is one. */
export function endingName({ status, reason }: Outcome): string {
  const of = OutcomeStatus[status].toLowerCase();
  return reason === OutcomeReason.UNSPECIFIED ? of : `${of}/${OutcomeReason[reason].toLowerCase()}`;
}

/** One row of the table: how groups ended, and what they waited for, in milliseconds. */
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

/** Checks the groups of all nodes: each was reported once and in one way, and no group is lost. */
export function ledgerExpectation(nodes: readonly StreamNode[]): Expectation {
  const problems = nodes.flatMap(({ node, ledger }) => [
    ...ledger.problems.map((what) => `${node.nodeId}: ${what}`),
    ...[...ledger.open().keys()].map((id) => `${node.nodeId}: session ${id} is open`),
  ]);
  return expectation("every accepted group ends once, and GetSession agrees", problems, []);
}

/** Proofs made, and groups that joined one instead of having their own. */
export async function proofCounts(service: BenchService) {
  const metrics = await service.metrics();
  const count = (name: string) => metrics.get(name) ?? NaN;
  return {
    proofs: count("lean_aggregator_server_proof_seconds_count"),
    shared: count("lean_aggregator_server_shared_groups_total"),
  };
}
