//! The metrics of PROTOCOL.md: plain counters, and with the feature `prometheus` a registry's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::votes::VoteFate;
use crate::machine::SkipReason;
use crate::proto::{Outcome, OutcomeStatus};

/// What the adapter has counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Snapshots that were not submitted or not accepted, by reason, each reason once.
    pub skipped: Vec<(SkipReason, u64)>,
    /// Votes of the outcomes that the node took, by fate, each fate once.
    pub votes: Vec<(VoteFate, u64)>,
    /// Merges whose outcome the node took, by the name of their status, each once.
    pub merges: Vec<(&'static str, u64)>,
    /// Requests sent again after an endpoint lost them.
    pub resubmitted: u64,
    /// Proofs made after the deadline.
    pub late_results: u64,
    /// Proofs past their fence.
    pub fenced_results: u64,
    /// Groups that no service ended.
    pub lost_groups: u64,
    /// Results dropped because nobody took them.
    pub dropped_results: u64,
}

impl Stats {
    /// Snapshots skipped for this reason.
    pub fn skipped_for(&self, reason: SkipReason) -> u64 {
        let mut counts = self.skipped.iter();
        counts
            .find(|(each, _)| *each == reason)
            .map_or(0, |(_, count)| *count)
    }

    /// Votes with this fate.
    pub fn votes_with(&self, fate: VoteFate) -> u64 {
        let mut counts = self.votes.iter();
        counts
            .find(|(each, _)| *each == fate)
            .map_or(0, |(_, count)| *count)
    }
}

/// How a merge may end, and the names that metrics have; a merge has something to prove.
const MERGE_STATUSES: [(OutcomeStatus, &str); 6] = [
    (OutcomeStatus::Proved, "proved"),
    (OutcomeStatus::ProvedLate, "proved_late"),
    (OutcomeStatus::Rejected, "rejected"),
    (OutcomeStatus::NotStarted, "not_started"),
    (OutcomeStatus::Stopped, "stopped"),
    (OutcomeStatus::Failed, "failed"),
];

/// A counter without labels.
#[derive(Clone, Copy, Debug)]
pub(super) enum Count {
    Resubmitted,
    Late,
    Fenced,
    Lost,
    Dropped,
}

const COUNTS: usize = 5;

#[derive(Default)]
pub(super) struct Metrics {
    skipped: [AtomicU64; SkipReason::ALL.len()],
    votes: [AtomicU64; VoteFate::ALL.len()],
    merges: [AtomicU64; MERGE_STATUSES.len()],
    counts: [AtomicU64; COUNTS],
    #[cfg(feature = "prometheus")]
    exported: Option<exported::Exported>,
}

impl Metrics {
    /// Counters that a registry exports. Fails when the registry has one of the names already.
    #[cfg(feature = "prometheus")]
    pub fn registered(registry: &prometheus::Registry) -> Result<Self, prometheus::Error> {
        Ok(Metrics {
            exported: Some(exported::Exported::new(registry)?),
            ..Metrics::default()
        })
    }

    pub fn skip(&self, reason: SkipReason) {
        self.skipped[reason as usize].fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "prometheus")]
        if let Some(exported) = &self.exported {
            exported.skipped.with_label_values(&[reason.name()]).inc();
        }
    }

    /// Counts an outcome that the node took: a merge by its status, any other by what became of its
    /// votes. The votes of a merge were counted when they were aggregated.
    pub fn outcome(&self, outcome: &Outcome) {
        if !outcome.claims.is_empty() {
            return self.merge(outcome.status());
        }
        for (fate, count) in VoteFate::count(outcome) {
            self.votes[fate as usize].fetch_add(count, Ordering::Relaxed);
            #[cfg(feature = "prometheus")]
            if let Some(exported) = &self.exported {
                exported
                    .votes
                    .with_label_values(&[fate.name()])
                    .inc_by(count);
            }
        }
    }

    fn merge(&self, status: OutcomeStatus) {
        let mut statuses = MERGE_STATUSES.iter();
        let Some(index) = statuses.position(|(each, _)| *each == status) else {
            return;
        };
        self.merges[index].fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "prometheus")]
        if let Some(exported) = &self.exported {
            let name = MERGE_STATUSES[index].1;
            exported.merges.with_label_values(&[name]).inc();
        }
    }

    pub fn count(&self, count: Count) {
        self.counts[count as usize].fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "prometheus")]
        if let Some(exported) = &self.exported {
            exported.counts[count as usize].inc();
        }
    }

    /// Time that one submission takes from the node's tick.
    #[cfg_attr(not(feature = "prometheus"), allow(unused_variables))]
    pub fn submit_took(&self, duration: Duration) {
        #[cfg(feature = "prometheus")]
        if let Some(exported) = &self.exported {
            exported.submit_seconds.observe(duration.as_secs_f64());
        }
    }

    /// Time from the service's receipt of a snapshot to the end of its last group.
    #[cfg_attr(not(feature = "prometheus"), allow(unused_variables))]
    pub fn worker_took(&self, duration: Duration) {
        #[cfg(feature = "prometheus")]
        if let Some(exported) = &self.exported {
            exported.worker_seconds.observe(duration.as_secs_f64());
        }
    }

    pub fn stats(&self) -> Stats {
        let of = |count: Count| self.counts[count as usize].load(Ordering::Relaxed);
        let reasons = SkipReason::ALL.into_iter();
        Stats {
            skipped: reasons
                .map(|reason| {
                    let count = &self.skipped[reason as usize];
                    (reason, count.load(Ordering::Relaxed))
                })
                .collect(),
            votes: VoteFate::ALL
                .into_iter()
                .map(|fate| (fate, self.votes[fate as usize].load(Ordering::Relaxed)))
                .collect(),
            merges: MERGE_STATUSES
                .iter()
                .zip(&self.merges)
                .map(|((_, name), count)| (*name, count.load(Ordering::Relaxed)))
                .collect(),
            resubmitted: of(Count::Resubmitted),
            late_results: of(Count::Late),
            fenced_results: of(Count::Fenced),
            lost_groups: of(Count::Lost),
            dropped_results: of(Count::Dropped),
        }
    }
}

#[cfg(feature = "prometheus")]
mod exported {
    use prometheus::{Error, Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

    use super::{SkipReason, VoteFate, COUNTS, MERGE_STATUSES};

    pub(super) struct Exported {
        pub skipped: IntCounterVec,
        pub votes: IntCounterVec,
        pub merges: IntCounterVec,
        pub counts: [IntCounter; COUNTS],
        pub submit_seconds: Histogram,
        pub worker_seconds: Histogram,
    }

    impl Exported {
        pub fn new(registry: &Registry) -> Result<Self, Error> {
            let skipped = Opts::new(
                "lean_aggregator_skipped_total",
                "Snapshots that were not submitted or not accepted",
            );
            let skipped = IntCounterVec::new(skipped, &["reason"])?;
            registry.register(Box::new(skipped.clone()))?;
            for reason in SkipReason::ALL {
                skipped.with_label_values(&[reason.name()]).inc_by(0);
            }
            let votes = Opts::new(
                "lean_aggregator_votes_total",
                "Votes of the groups whose outcome the node took, each once, by fate",
            );
            let votes = IntCounterVec::new(votes, &["fate"])?;
            registry.register(Box::new(votes.clone()))?;
            for fate in VoteFate::ALL {
                votes.with_label_values(&[fate.name()]).inc_by(0);
            }
            let merges = Opts::new(
                "lean_aggregator_merges_total",
                "Merges whose outcome the node took, by status",
            );
            let merges = IntCounterVec::new(merges, &["status"])?;
            registry.register(Box::new(merges.clone()))?;
            for (_, status) in MERGE_STATUSES {
                merges.with_label_values(&[status]).inc_by(0);
            }
            let counter = |name: &str, help: &str| -> Result<IntCounter, Error> {
                let counter = IntCounter::new(name, help)?;
                registry.register(Box::new(counter.clone()))?;
                Ok(counter)
            };
            let histogram = |name: &str, help: &str, buckets: &[f64]| -> Result<Histogram, Error> {
                let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
                let histogram = Histogram::with_opts(options)?;
                registry.register(Box::new(histogram.clone()))?;
                Ok(histogram)
            };
            Ok(Exported {
                skipped,
                votes,
                merges,
                counts: [
                    counter(
                        "lean_aggregator_resubmitted_total",
                        "Requests sent again after an endpoint lost them",
                    )?,
                    counter(
                        "lean_aggregator_late_results_total",
                        "Proofs made after the deadline",
                    )?,
                    counter(
                        "lean_aggregator_fenced_results_total",
                        "Proofs past their fence",
                    )?,
                    counter(
                        "lean_aggregator_lost_groups_total",
                        "Groups that no service ended",
                    )?,
                    counter(
                        "lean_aggregator_dropped_results_total",
                        "Results dropped because nobody took them",
                    )?,
                ],
                submit_seconds: histogram(
                    "lean_aggregator_submit_duration_seconds",
                    "Time that one submission takes from the node's tick",
                    &[0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1],
                )?,
                worker_seconds: histogram(
                    "lean_aggregator_worker_duration_seconds",
                    "Time from the receipt of a snapshot to the end of its last group",
                    &[
                        0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0,
                        32.0, 48.0, 64.0, 96.0, 128.0,
                    ],
                )?,
            })
        }
    }
}
