/**
 * The adapter's metrics, on the node's own registry and under the names that all lean clients
 * share. A registry has room for one adapter: a second one throws, as the names are taken.
 */
import { Counter, Histogram, type Registry } from "prom-client";
import { fatesInNoProof, votesProved } from "../../proto/votes.js";
import { OutcomeStatus, type Outcome } from "../../proto/gen/lean/aggregator/v1/aggregator_pb.js";
import { SKIP_REASONS } from "../machine/index.js";

/** The names of how a merge may end; a merge has something to prove. */
const MERGE_STATUSES: ReadonlyMap<OutcomeStatus, string> = new Map([
  [OutcomeStatus.PROVED, "proved"],
  [OutcomeStatus.PROVED_LATE, "proved_late"],
  [OutcomeStatus.REJECTED, "rejected"],
  [OutcomeStatus.NOT_STARTED, "not_started"],
  [OutcomeStatus.STOPPED, "stopped"],
  [OutcomeStatus.FAILED, "failed"],
]);

export interface AdapterMetrics {
  skips: Counter<"reason">;
  votes: Counter<"fate">;
  merges: Counter<"status">;
  workerSeconds: Histogram;
  submitSeconds: Histogram;
  resubmitted: Counter;
  lateResults: Counter;
  fencedResults: Counter;
  lostGroups: Counter;
  droppedResults: Counter;
}

/** Registers every metric, with each skip reason at zero. Throws `Error` when a name is taken. */
export function createAdapterMetrics(registry: Registry): AdapterMetrics {
  const registers = [registry];
  return {
    ...labelledCounters(registers),
    workerSeconds: new Histogram({
      name: "lean_aggregator_worker_duration_seconds",
      help: "Time from the service's receipt of a snapshot to the end of its last group",
      buckets: [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128],
      registers,
    }),
    submitSeconds: new Histogram({
      name: "lean_aggregator_submit_duration_seconds",
      help: "Time that one submission takes from the node's tick, with the making of the snapshot",
      buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1],
      registers,
    }),
    resubmitted: new Counter({
      name: "lean_aggregator_resubmitted_total",
      help: "Times that a lost request was sent to a service again",
      registers,
    }),
    lateResults: new Counter({
      name: "lean_aggregator_late_results_total",
      help: "Proofs made after the deadline of their request",
      registers,
    }),
    fencedResults: new Counter({
      name: "lean_aggregator_fenced_results_total",
      help: "Proofs dropped because the fence of their request had passed",
      registers,
    }),
    lostGroups: new Counter({
      name: "lean_aggregator_lost_groups_total",
      help: "Groups that no service has ended",
      registers,
    }),
    droppedResults: new Counter({
      name: "lean_aggregator_dropped_results_total",
      help: "Results dropped for newer ones because the node did not take them",
      registers,
    }),
  };
}

function labelledCounters(
  registers: Registry[],
): Pick<AdapterMetrics, "skips" | "votes" | "merges"> {
  const skips = new Counter({
    name: "lean_aggregator_skipped_total",
    help: "Snapshots that the node did not submit or that the service skipped, by reason",
    labelNames: ["reason"] as const,
    registers,
  });
  for (const reason of SKIP_REASONS) skips.inc({ reason }, 0);
  const votes = new Counter({
    name: "lean_aggregator_votes_total",
    help: "Votes of the groups whose outcome the node took, each once, by fate",
    labelNames: ["fate"] as const,
    registers,
  });
  const fates = fatesInNoProof.map(([fate]) => fate);
  for (const fate of ["proved", "proved_late", ...fates]) votes.inc({ fate }, 0);
  const merges = new Counter({
    name: "lean_aggregator_merges_total",
    help: "Merges whose outcome the node took, by status",
    labelNames: ["status"] as const,
    registers,
  });
  for (const status of MERGE_STATUSES.values()) merges.inc({ status }, 0);
  return { skips, votes, merges };
}

/**
 * Counts an outcome that the node took: a merge by its status, any other by what became of its votes. The
 * votes of a merge were counted when they were aggregated. An older service does not say what became of
 * the votes.
 */
export function countOutcome(
  { votes: voteCounter, merges }: Pick<AdapterMetrics, "votes" | "merges">,
  { claims, status, votes }: Outcome,
): void {
  if (claims.length > 0) {
    const name = MERGE_STATUSES.get(status);
    if (name !== undefined) merges.inc({ status: name });
    return;
  }
  if (votes === undefined) return;
  const proved = status === OutcomeStatus.PROVED_LATE ? "proved_late" : "proved";
  voteCounter.inc({ fate: proved }, votesProved(votes));
  for (const [fate, field] of fatesInNoProof) voteCounter.inc({ fate }, votes[field]);
}
