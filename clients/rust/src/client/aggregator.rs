//! The adapter that a node holds.

use std::collections::hash_map::RandomState;
use std::fmt::Display;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{mpsc, Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::builder::Builder;
use super::clock::{millis, unix_ms};
use super::encode::{freeze, FrozenStep};
use super::merge::{Merge, MergeOptions};
use super::metrics::Stats;
use super::options::{InFlightGroup, Skip, SubmitOptions, TickResult, Unreachable};
use super::shared::{Command, Frozen, Shared};
use crate::machine::{
    Event, Fence, Gates, Latch, Millis, ProofKind, RequestId, SkipReason, Submission,
};
use crate::proto;
use crate::slot::SlotTimes;

/// A proof of slot N is worthless from slot N plus this on.
const FENCE_SLOTS: u64 = 2;
/// Closing waits this long for its cancels, and a little more for the thread.
const FLUSH_LIMIT: Duration = Duration::from_millis(1000);

/// The adapter: one for each node.
///
/// In each tick, take the results, apply them, then submit: otherwise the node submits votes that
/// are in a proof already. No call but [`close`](Aggregator::close) waits for anything, and none
/// panics. All calls may be made from any thread. Dropping the adapter closes it without
/// waiting for what is in flight, which takes about a second at most.
pub struct Aggregator {
    shared: Arc<Shared>,
    slot_times: Option<SlotTimes>,
    deadline: Duration,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Begins every request id of this adapter.
    prefix: String,
    next_id: AtomicU64,
}

/// Waits for results. Cheap to clone.
#[derive(Clone)]
pub struct Ready(Arc<Notify>);

impl Ready {
    /// Returns when results have come to be since the last return, at once if they have already.
    /// They may be gone by then: another caller took them, or their fence passed. Cancel safe.
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
        // Two random numbers of 64 bits: ids of other runs and nodes differ.
        let random = || RandomState::new().build_hasher().finish();
        Aggregator {
            shared,
            slot_times,
            deadline,
            thread: Mutex::new(Some(thread)),
            prefix: format!("{:016x}{:016x}", random(), random()),
            next_id: AtomicU64::new(0),
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
        self.ask_and_submit(slot, gates, ProofKind::Aggregate, snapshot, options)
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
        let gates = Gates {
            is_aggregator: true,
            ..gates
        };
        let snapshot = || {
            let merge = merge()?.filter(|merge| !merge.components.is_empty());
            Ok::<_, E>(merge.map(|merge| merge.into_snapshot(slot, options.priority)))
        };
        let options = options.submit_options();
        self.ask_and_submit(slot, gates, ProofKind::Merge, snapshot, &options)
    }

    /// `snapshot`: an inner error is of a snapshot that every service refuses.
    fn ask_and_submit<E: Display>(
        &self,
        slot: u64,
        gates: Gates,
        proof_kind: ProofKind,
        snapshot: impl FnOnce() -> Result<Option<Result<proto::Snapshot, String>>, E>,
        options: &SubmitOptions,
    ) -> Result<RequestId, Skip> {
        let start = Instant::now();
        let latch = Latch {
            priority: options.priority,
            proof_kind,
        };
        let ask = Event::Ask {
            slot,
            gates,
            latch,
            may_replace: options.may_replace,
        };
        let result = match self.shared.handle(ask).skip {
            Some(reason) => Err(self.skipped(slot, reason, String::new())),
            None => self.submit(slot, latch, snapshot, options),
        };
        self.shared.metrics.submit_took(start.elapsed());
        result
    }

    fn submit<E: Display>(
        &self,
        slot: u64,
        latch: Latch,
        snapshot: impl FnOnce() -> Result<Option<Result<proto::Snapshot, String>>, E>,
        options: &SubmitOptions,
    ) -> Result<RequestId, Skip> {
        let skip = |reason: SkipReason, detail: String| {
            self.shared.metrics.skip(reason);
            Err(self.skipped(slot, reason, detail))
        };
        let now_ms = self.shared.clock.now_ms();
        let mut snapshot = match self.shared.hooks.guard("snapshot", snapshot) {
            None => return skip(SkipReason::SnapshotThrew, "it panicked".into()),
            Some(Err(error)) => return skip(SkipReason::SnapshotThrew, error.to_string()),
            Some(Ok(None)) => return skip(SkipReason::NothingToSubmit, String::new()),
            Some(Ok(Some(Err(detail)))) => return skip(SkipReason::Invalid, detail),
            Some(Ok(Some(Ok(snapshot)))) => snapshot,
        };
        if snapshot.groups.is_empty() {
            return skip(SkipReason::NothingToSubmit, "it has no groups".into());
        }
        let Some(fence) = self.fence(slot, now_ms, options) else {
            let what = "no fence: give SubmitOptions::fence or Builder::slot_times";
            return skip(SkipReason::Invalid, what.into());
        };
        snapshot.slot = slot;
        let request_id = self.request_id();
        let groups = snapshot.groups.len();
        let is_ssz = snapshot.ssz_bitlists;
        let data = snapshot.groups.iter().map(|group| group.data.clone());
        let data = data.collect();
        let bytes = freeze(&self.shared.header, &request_id, snapshot, options);
        let after = |duration: Duration| now_ms.saturating_add(millis(duration));
        let submission = Submission {
            request_id: request_id.clone(),
            latch,
            slot,
            groups,
            bytes: bytes.len(),
            deadline_at_ms: match (options.deadline, latch.proof_kind) {
                (Some(deadline), _) => after(deadline),
                (None, ProofKind::Merge) => fence.at_ms,
                (None, ProofKind::Aggregate) => after(self.deadline),
            },
            fence,
            hold_until_ms: match options.hold {
                Duration::ZERO => 0,
                hold => after(hold),
            },
        };
        let steps = options.steps.iter().map(|step| FrozenStep {
            until_at_ms: after(step.until),
            weight: step.weight,
        });
        let frozen = Frozen {
            bytes,
            steps: steps.collect(),
            data,
            is_ssz,
            slot,
            is_first_try: true,
        };
        self.shared
            .handle_with(Event::Submitted(submission), |state| {
                state.frozen.insert(request_id.clone(), frozen);
            });
        Ok(request_id)
    }

    /// Returns each result once, in the order in which groups ended.
    ///
    /// A proof past its fence is dropped: no result comes for its group.
    pub fn take_results(&self, slot: u64) -> Vec<TickResult> {
        let results = self.shared.handle(Event::Take { slot }).results;
        self.shared.tell_unreachable();
        results
    }

    /// What to wait on between ticks.
    pub fn ready(&self) -> Ready {
        Ready(self.shared.ready.clone())
    }

    /// Cancels each group in flight for which the predicate says so, for example because its
    /// source or target has left the chain. Returns their number.
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

    fn unwanted(
        &self,
        is_unwanted: &mut dyn FnMut(InFlightGroup<'_>) -> bool,
    ) -> Vec<(RequestId, Vec<usize>)> {
        let in_flight: Vec<_> = {
            let state = self.shared.state();
            let submissions = state.machine.in_flight();
            submissions
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

    /// Calls the node's closures for a skip, and returns its error.
    fn skipped(&self, slot: u64, reason: SkipReason, detail: String) -> Skip {
        let skip = Skip {
            request_id: None,
            reason,
            detail,
        };
        self.shared.hooks.skip(&skip);
        if reason == SkipReason::Unreachable {
            let request_id = None;
            self.shared
                .hooks
                .unreachable(&Unreachable { slot, request_id });
        }
        skip
    }

    fn fence(&self, slot: u64, now_ms: Millis, options: &SubmitOptions) -> Option<Fence> {
        if let Some(fence) = options.fence {
            return Some(Fence {
                at_ms: now_ms.saturating_add(millis(fence)),
                slot: None,
            });
        }
        let fence_unix_ms = self.slot_times?.fence_at(i64::try_from(slot).ok()?);
        let left_ms = u64::try_from(fence_unix_ms)
            .unwrap_or(0)
            .saturating_sub(unix_ms());
        Some(Fence {
            at_ms: now_ms.saturating_add(left_ms),
            slot: Some(slot.saturating_add(FENCE_SLOTS)),
        })
    }

    fn request_id(&self) -> RequestId {
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", self.prefix).into()
    }
}

impl Drop for Aggregator {
    fn drop(&mut self) {
        self.close(Duration::ZERO);
    }
}
