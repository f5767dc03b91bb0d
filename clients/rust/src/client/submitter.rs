//! Submissions of the node's tick: of votes, of merges, and of a growing body.

use std::collections::hash_map::RandomState;
use std::fmt::Display;
use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::{millis, unix_ms};
use super::encode::{freeze, FrozenStep};
use super::merge::{Merge, MergeOptions};
use super::options::{Skip, Step, SubmitOptions};
use super::shared::{Frozen, Shared};
use crate::machine::{
    Event, Fence, Gates, Latch, Millis, Priority, ProofKind, RequestId, SkipReason, Submission,
};
use crate::proto;
use crate::slot::SlotTimes;

/// A proof of slot N is worthless from slot N plus this on.
const FENCE_SLOTS: u64 = 2;

/// Most steps of a submission, and the largest worth of a vote.
const STEPS_MAX: usize = 8;
const WEIGHT_MAX: u32 = 1_000_000;

/// The instant from which a submission counts its times, by both clocks: the node's function, which is
/// called after it, takes time.
#[derive(Clone, Copy)]
struct Start {
    now_ms: Millis,
    unix_ms: Millis,
}

pub(super) struct Submitter {
    pub shared: Arc<Shared>,
    slot_times: Option<SlotTimes>,
    deadline: Duration,
    /// Begins every request id of this adapter.
    prefix: String,
    next_id: AtomicU64,
}

impl Submitter {
    pub fn new(shared: Arc<Shared>, slot_times: Option<SlotTimes>, deadline: Duration) -> Self {
        // Two random numbers of 64 bits: ids of other runs and nodes differ.
        let random = || RandomState::new().build_hasher().finish();
        Submitter {
            shared,
            slot_times,
            deadline,
            prefix: format!("{:016x}{:016x}", random(), random()),
            next_id: AtomicU64::new(0),
        }
    }

    /// As `ask_and_submit`, for a merge.
    pub fn merge_or_skip<E: Display>(
        &self,
        slot: u64,
        gates: Gates,
        merge: impl FnOnce() -> Result<Option<Merge>, E>,
        options: &MergeOptions,
        on_submit: impl FnOnce(&RequestId),
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
        self.ask_and_submit(slot, gates, ProofKind::Merge, snapshot, &options, on_submit)
    }

    /// `snapshot`: an inner error is of a snapshot that every service refuses. `on_submit` is called
    /// just before the machine knows the request, under the adapter's lock: it calls neither the
    /// adapter nor the node. The node's closures are not called for a skip.
    pub fn ask_and_submit<E: Display>(
        &self,
        slot: u64,
        gates: Gates,
        proof_kind: ProofKind,
        snapshot: impl FnOnce() -> Result<Option<Result<proto::Snapshot, String>>, E>,
        options: &SubmitOptions,
        on_submit: impl FnOnce(&RequestId),
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
        if let Some(reason) = self.shared.handle(ask).skip {
            return Err(skip_of(reason, String::new()));
        }
        let result = self.submit(slot, latch, snapshot, options, on_submit);
        self.shared.metrics.submit_took(start.elapsed());
        result
    }

    fn submit<E: Display>(
        &self,
        slot: u64,
        latch: Latch,
        snapshot: impl FnOnce() -> Result<Option<Result<proto::Snapshot, String>>, E>,
        options: &SubmitOptions,
        on_submit: impl FnOnce(&RequestId),
    ) -> Result<RequestId, Skip> {
        let skip = |reason: SkipReason, detail: String| {
            self.shared.metrics.skip(reason);
            Err(skip_of(reason, detail))
        };
        let start = Start {
            now_ms: self.shared.clock.now_ms(),
            unix_ms: unix_ms(),
        };
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
        let Some(fence) = self.fence(slot, start, options) else {
            let what = "no fence: give SubmitOptions::fence or Builder::slot_times";
            return skip(SkipReason::Invalid, what.into());
        };
        if let Err(detail) = check_steps(options.steps.as_deref().unwrap_or_default()) {
            return skip(SkipReason::Invalid, detail);
        }
        snapshot.slot = slot;
        let (submission, frozen) = self.freeze(start, latch, fence, snapshot, options);
        // A node that stalled submits for slots whose time is already over.
        let over_at_ms = submission.deadline_at_ms.min(fence.at_ms);
        if over_at_ms <= self.shared.clock.now_ms_up() {
            return skip(SkipReason::PredictedMiss, String::new());
        }
        let request_id = submission.request_id.clone();
        self.shared
            .handle_with(Event::Submitted(submission), |state| {
                on_submit(&request_id);
                state.frozen.insert(request_id.clone(), frozen);
            });
        Ok(request_id)
    }

    /// What the machine and the shell keep of a submission that began at `start`.
    fn freeze(
        &self,
        start: Start,
        latch: Latch,
        fence: Fence,
        snapshot: proto::Snapshot,
        options: &SubmitOptions,
    ) -> (Submission, Frozen) {
        let request_id = self.request_id();
        let slot = snapshot.slot;
        let groups = snapshot.groups.len();
        let is_ssz = snapshot.ssz_bitlists;
        let data = snapshot.groups.iter().map(|group| group.data.clone());
        let data = data.collect();
        let bytes = freeze(&self.shared.header, &request_id, snapshot, options);
        let after = |duration: Duration| start.now_ms.saturating_add(millis(duration));
        let deadline_at_ms = match (options.deadline, latch) {
            (Some(deadline), _) => after(deadline),
            (None, latch) if may_start_until_fence(latch) => fence.at_ms,
            (None, _) => after(self.deadline),
        };
        let submission = Submission {
            request_id,
            latch,
            slot,
            groups,
            bytes: bytes.len(),
            deadline_at_ms: deadline_at_ms.min(fence.at_ms),
            fence,
            hold_until_ms: match options.hold {
                Duration::ZERO => 0,
                hold => after(hold),
            },
        };
        let steps = match &options.steps {
            Some(steps) => steps.iter().map(frozen_step(start.now_ms)).collect(),
            None => self.default_steps(slot, start, fence.at_ms),
        };
        let frozen = Frozen {
            bytes,
            steps,
            data,
            is_ssz,
            slot,
            traceparent: options.traceparent.clone(),
            is_first_try: true,
            may_pass: false,
        };
        (submission, frozen)
    }

    /// The time until a slot starts, `ZERO` if it has. `None`: the adapter has no slot times.
    pub fn time_to_slot(&self, slot: u64) -> Option<Duration> {
        let start_ms = self.slot_times?.interval_at(i64::try_from(slot).ok()?, 0);
        let start_ms = u64::try_from(start_ms).unwrap_or(0);
        Some(Duration::from_millis(start_ms.saturating_sub(unix_ms())))
    }

    fn fence(&self, slot: u64, start: Start, options: &SubmitOptions) -> Option<Fence> {
        if let Some(fence) = options.fence {
            return Some(Fence {
                at_ms: start.now_ms.saturating_add(millis(fence)),
                slot: None,
            });
        }
        let fence_unix_ms = self.slot_times?.fence_at(i64::try_from(slot).ok()?);
        let left_ms = u64::try_from(fence_unix_ms)
            .unwrap_or(0)
            .saturating_sub(start.unix_ms);
        Some(Fence {
            at_ms: start.now_ms.saturating_add(left_ms),
            slot: Some(slot.saturating_add(FENCE_SLOTS)),
        })
    }

    /// None where the adapter has no slot times.
    fn default_steps(&self, slot: u64, start: Start, fence_at_ms: Millis) -> Vec<FrozenStep> {
        let (Some(times), Ok(slot)) = (self.slot_times, i64::try_from(slot)) else {
            return Vec::new();
        };
        let at_ms = i64::try_from(start.unix_ms).unwrap_or(i64::MAX);
        let left_ms = fence_at_ms.saturating_sub(start.now_ms);
        let left_ms = i64::try_from(left_ms).unwrap_or(i64::MAX);
        let steps = times.steps(slot, at_ms, at_ms.saturating_add(left_ms));
        let in_ms = |until_at_ms: i64| u64::try_from(until_at_ms - at_ms).unwrap_or(0);
        let frozen = steps.into_iter().map(|step| FrozenStep {
            until_at_ms: start.now_ms.saturating_add(in_ms(step.until_at_ms)),
            weight: step.weight,
        });
        frozen.collect()
    }

    fn request_id(&self) -> RequestId {
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", self.prefix).into()
    }
}

fn frozen_step(now_ms: Millis) -> impl Fn(&Step) -> FrozenStep {
    move |step| FrozenStep {
        until_at_ms: now_ms.saturating_add(millis(step.until)),
        weight: step.weight,
    }
}

/// Fails for steps that every service refuses, and says why.
fn check_steps(steps: &[Step]) -> Result<(), String> {
    let count = steps.len();
    if count > STEPS_MAX {
        let what = format!("steps has {count} entries: give at most {STEPS_MAX}");
        return Err(what);
    }
    let mut last: Option<Step> = None;
    for (index, step) in steps.iter().enumerate() {
        let (until, weight) = (step.until, step.weight);
        if !(1..=WEIGHT_MAX).contains(&weight) {
            let what = format!("steps[{index}].weight is {weight}: give 1 to {WEIGHT_MAX}");
            return Err(what);
        }
        let Some(before) = last.replace(*step) else {
            continue;
        };
        if until < before.until {
            return Err(format!(
                "steps[{index}].until is {until:?}, below the {:?} of the step before: \
                 give ascending times",
                before.until
            ));
        }
        if weight >= before.weight {
            return Err(format!(
                "steps[{index}].weight is {weight}, not below the {} of the step before: \
                 give descending weights",
                before.weight
            ));
        }
    }
    Ok(())
}

/// Merges and backlog are not bound to the slot in which they are submitted.
fn may_start_until_fence(latch: Latch) -> bool {
    latch.proof_kind == ProofKind::Merge || latch.priority == Priority::Backlog
}

fn skip_of(reason: SkipReason, detail: String) -> Skip {
    Skip {
        request_id: None,
        reason,
        detail,
    }
}
