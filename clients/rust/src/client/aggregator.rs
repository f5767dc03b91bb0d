//! The adapter that a node holds.

use std::fmt::Display;
use std::sync::{mpsc, Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::Notify;

use super::body::{BodyCandidate, BodyOptions};
use super::builder::{BuildError, Builder};
use super::merge::{Merge, MergeOptions};
use super::metrics::Stats;
use super::options::{InFlightGroup, Skip, SubmitOptions, TickResult};
use super::shared::{Command, Shared};
use super::submitter::Submitter;
use crate::machine::{Event, Gates, ProofKind, RequestId, SkipReason};
use crate::proto;
use crate::slot::SlotTimes;

/// Closing waits this long for its cancels, and a little more for the thread.
const FLUSH_LIMIT: Duration = Duration::from_millis(1000);

/// The adapter: one for each node.
///
/// In each tick, take the results, apply them, then submit: otherwise the node submits votes that
/// are in a proof already. No call but [`close`](Aggregator::close) waits for anything, and none
/// panics. All calls may be made from any thread. Dropping the adapter closes it without
/// waiting for what is in flight, which takes about a second at most.
pub struct Aggregator {
    submitter: Arc<Submitter>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Waits for results. Cheap to clone.
#[derive(Clone)]
pub struct Ready(Arc<Notify>);

impl Ready {
    /// Returns when results have come to be since the last return, at once if they have already.
    /// They may be gone by then: another caller took them, or their fence passed. Of several that wait,
    /// one returns each time. Cancel safe.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}

impl Aggregator {
    /// The options of a new adapter.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(super) fn new(
        shared: Arc<Shared>,
        slot_times: Option<SlotTimes>,
        deadline: Duration,
        thread: JoinHandle<()>,
    ) -> Self {
        Aggregator {
            submitter: Arc::new(Submitter::new(shared.clone(), slot_times, deadline)),
            shared,
            thread: Mutex::new(Some(thread)),
        }
    }

    /// Submits a snapshot, or says why not.
    ///
    /// `snapshot` is called only when something is to be submitted. It may return `None` for
    /// nothing. Its `slot` is set to `slot`. The bytes are copied once, before this returns. The
    /// service's answer comes later: see [`Builder::on_skip`] and [`take_results`].
    ///
    /// [`take_results`]: Aggregator::take_results
    ///
    /// # Errors
    ///
    /// The reason for which nothing was submitted.
    pub fn submit_or_skip<E: Display>(
        &self,
        slot: u64,
        gates: Gates,
        snapshot: impl FnOnce() -> Result<Option<proto::Snapshot>, E>,
        options: &SubmitOptions,
    ) -> Result<RequestId, Skip> {
        let snapshot = || Ok::<_, E>(snapshot()?.map(Ok));
        let submitter = &self.submitter;
        let kind = ProofKind::Aggregate;
        submitter
            .ask_and_submit(slot, gates, kind, snapshot, options, |_| {})
            .inspect_err(|skip| self.tell(slot, skip))
    }

    /// Submits one merge, as [`submit_or_skip`] submits a snapshot, or says why not.
    ///
    /// Merges and votes of one priority are in flight side by side. The node need not be an
    /// aggregator. The result has group index 0, and its outcome has `claims`: who signed which
    /// message, in the order of the components. A bad component ends the merge as `Rejected`, named
    /// in `left_out`: no part of a merge is proved.
    ///
    /// [`submit_or_skip`]: Aggregator::submit_or_skip
    ///
    /// # Errors
    ///
    /// The reason for which nothing was submitted.
    pub fn merge_or_skip<E: Display>(
        &self,
        slot: u64,
        gates: Gates,
        merge: impl FnOnce() -> Result<Option<Merge>, E>,
        options: &MergeOptions,
    ) -> Result<RequestId, Skip> {
        let submitter = &self.submitter;
        submitter
            .merge_or_skip(slot, gates, merge, options, |_| {})
            .inspect_err(|skip| self.tell(slot, skip))
    }

    /// Makes the candidate for the bodies of the node's own blocks, for the life of the adapter.
    ///
    /// It submits merges by itself, each after it has asked `gates`: in the node's calls, and, after a
    /// skip by the service, on the adapter's thread. `gates` must return at once, and must not wait for
    /// a lock that the node holds for long. Its results are not among those of [`take_results`], which
    /// must go on being called.
    ///
    /// [`take_results`]: Aggregator::take_results
    ///
    /// # Errors
    ///
    /// When the adapter has no slot times, `components_max` is 0, or the priority is `Proposal`.
    pub fn grow_body(
        &self,
        gates: impl Fn() -> Gates + Send + Sync + 'static,
        options: BodyOptions,
    ) -> Result<BodyCandidate, BuildError> {
        BodyCandidate::new(self.submitter.clone(), Box::new(gates), options)
    }

    /// Returns each result once, in the order in which groups ended.
    ///
    /// A proof past its fence is dropped: no result comes for its group.
    pub fn take_results(&self, slot: u64) -> Vec<TickResult> {
        self.take(slot, None)
    }

    /// As [`take_results`](Aggregator::take_results), but at most `max` results, the oldest first. The
    /// others stay, each until its fence. Results of a growing body count too.
    pub fn take_at_most(&self, slot: u64, max: usize) -> Vec<TickResult> {
        self.take(slot, Some(max))
    }

    fn take(&self, slot: u64, max: Option<usize>) -> Vec<TickResult> {
        let results = self.shared.take(slot, None, max);
        self.shared.tell_unreachable();
        results
    }

    /// What to wait on between ticks.
    pub fn ready(&self) -> Ready {
        Ready(self.shared.ready.clone())
    }

    /// Cancels each group of votes in flight for which the predicate says so, for example because its
    /// source or target has left the chain. Returns their number.
    ///
    /// It sees no merge: [`cancel_request`](Aggregator::cancel_request) cancels one of the node's own,
    /// [`BodyCandidate::forget`] those of a body.
    pub fn cancel_where(&self, mut is_unwanted: impl FnMut(InFlightGroup<'_>) -> bool) -> usize {
        let mut cancelled = 0;
        for (request_id, groups) in self.unwanted(&mut is_unwanted) {
            cancelled += groups.len();
            self.shared.handle(Event::Cancel {
                request_id,
                groups: Some(groups),
            });
        }
        cancelled
    }

    /// Cancels what has not ended of a request, for example a merge whose parent has left the chain.
    /// Returns the number of its groups: 0 when the request is unknown or over.
    pub fn cancel_request(&self, request_id: &str) -> usize {
        let groups = self.shared.state().machine.unended_groups(request_id);
        let cancelled = groups.len();
        if cancelled > 0 {
            self.shared.handle(Event::Cancel {
                request_id: request_id.into(),
                groups: Some(groups),
            });
        }
        cancelled
    }

    /// The groups of votes that the predicate names, by request.
    fn unwanted(
        &self,
        is_unwanted: &mut dyn FnMut(InFlightGroup<'_>) -> bool,
    ) -> Vec<(RequestId, Vec<usize>)> {
        let in_flight: Vec<_> = {
            let state = self.shared.state();
            let submissions = state.machine.in_flight();
            submissions
                .filter(|submission| submission.latch.proof_kind == ProofKind::Aggregate)
                .filter_map(|submission| {
                    let groups = state.machine.unended_groups(&submission.request_id);
                    let data = state.frozen.get(&submission.request_id)?.data.clone();
                    Some((submission.clone(), groups, data))
                })
                .collect()
        };
        let mut unwanted = Vec::new();
        for (submission, mut groups, data) in in_flight {
            groups.retain(|group_index| {
                let group = InFlightGroup {
                    request_id: &submission.request_id,
                    group_index: *group_index,
                    slot: submission.slot,
                    priority: submission.latch.priority,
                    data: data.get(*group_index).and_then(Option::as_ref),
                };
                let is_unwanted = || is_unwanted(group);
                let answer = self.shared.hooks.guard("cancel_where", is_unwanted);
                answer.unwrap_or(false)
            });
            if !groups.is_empty() {
                unwanted.push((submission.request_id, groups));
            }
        }
        unwanted
    }

    /// Whether a submission could be sent to some service now.
    pub fn is_reachable(&self) -> bool {
        self.shared.state().machine.is_reachable()
    }

    /// What the adapter has counted.
    pub fn stats(&self) -> Stats {
        self.shared.metrics.stats()
    }

    /// Ends the adapter: submits nothing more, waits until every group has ended, at most for
    /// `drain`, then cancels the rest, which takes at most 500 ms more.
    ///
    /// This call blocks. Results can still be taken afterwards. A second call returns at once.
    pub fn close(&self, drain: Duration) {
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(_thread) = thread else { return };
        self.shared.handle(Event::Closing);
        self.shared.wait_idle(drain);
        self.shared.handle(Event::Closed);
        let (done, is_done) = mpsc::channel();
        self.shared.command(Command::Flush(done));
        // Fails when the thread takes longer, or is gone: nothing is left to wait for.
        let _ = is_done.recv_timeout(FLUSH_LIMIT);
    }

    /// Calls the node's closures for a skip.
    fn tell(&self, slot: u64, skip: &Skip) {
        if skip.reason == SkipReason::Invalid {
            tracing::warn!(target: "lean_aggregator", slot, "{skip}");
        }
        self.shared.hooks.skip(skip);
        self.shared.tell_skip_reason(slot, skip);
    }
}

impl Drop for Aggregator {
    fn drop(&mut self) {
        self.close(Duration::ZERO);
    }
}
