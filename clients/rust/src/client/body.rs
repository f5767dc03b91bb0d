//! The body of the node's next block, built ahead of it: the shell of the growing candidate.

mod offer;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::builder::BuildError;
use super::merge::{Merge, MergeOptions};
use super::options::{is_proved, Ending, Skip, Step, TickResult};
use super::submitter::Submitter;
use crate::machine::candidate::{BlockRef, Candidate, Effects, Finished, Offered};
use crate::machine::{Event, Gates, Priority, RequestId, SkipReason};
use crate::proto;
use offer::votes_of;
pub use offer::{BodyComponent, BodyOffer, BodyOptions, FinishedBody};

/// Three may be in flight; those before them were cancelled, and their results are on their way.
const REQUESTS_MAX: usize = 16;
/// Longest deadline and fence of a request, as the service has them.
const BUDGET_MAX: Duration = Duration::from_secs(120);

/// The body of the node's next block, built ahead of it: see
/// [`Aggregator::grow_body`](super::Aggregator::grow_body).
///
/// No call waits or panics; all may be made from any thread. Dropping it cancels what is in flight.
pub struct BodyCandidate(Arc<Body>);

impl BodyCandidate {
    pub(super) fn new(
        submitter: Arc<Submitter>,
        gates: Box<dyn Fn() -> Gates + Send + Sync>,
        options: BodyOptions,
    ) -> Result<Self, BuildError> {
        let invalid = |what: &str| Err(BuildError::Invalid(what.into()));
        if submitter.time_to_slot(0).is_none() {
            return invalid("no slot times: give Builder::slot_times");
        }
        if options.components_max == 0 {
            return invalid("components_max is 0: give 1 or more");
        }
        if options.priority == Priority::Proposal {
            return invalid("priority is Proposal: a body that is built ahead has Aggregation");
        }
        let growing = Growing {
            candidate: Candidate::new(options.components_max),
            slot: 0,
            shared: Merge::default(),
            is_taking: false,
            asked: 0,
            requests: VecDeque::new(),
        };
        let body = Arc::new(Body {
            submitter,
            gates,
            options,
            growing: Mutex::new(growing),
        });
        body.submitter.shared.add_body(&body);
        Ok(BodyCandidate(body))
    }

    /// Says what the body may have by now; call it in each tick, and when a component has come. A merge of
    /// what is worth more replaces one that has not begun; one that runs goes on. Another parent or block
    /// forgets what was for the last one. What has failed is tried again, once.
    pub fn offer(&self, slot: u64, offer: BodyOffer) {
        let BodyOffer {
            block_slot,
            parent,
            merge,
            components,
        } = offer;
        let is_ssz = merge.ssz_bitlists;
        let offered = components.into_iter().map(|component| Offered {
            key: component.key.clone(),
            worth: component
                .worth
                .unwrap_or_else(|| votes_of(&component.component, is_ssz)),
            component,
        });
        let offered = offered.collect();
        self.0.step(|growing| {
            growing.slot = slot;
            growing.shared = merge;
            let block = block_of(block_slot, &parent);
            growing.candidate.offered(block, offered)
        });
        self.0.step(|growing| growing.candidate.tick(slot));
    }

    /// The parent has left the node's chain: cancels what is in flight, and forgets what is finished.
    pub fn forget(&self) {
        self.0.step(|growing| growing.candidate.stale());
    }

    /// The best finished body so far, of the block that was offered last.
    pub fn best(&self) -> Option<FinishedBody> {
        self.0.growing().candidate.best().cloned().map(finished)
    }

    /// Returns the best finished body of this block at the start of its slot, or `None`: then the
    /// block's body is empty. Never waits. Ends the candidate, and cancels what is in flight.
    pub fn take(&self, block_slot: u64, parent: &[u8]) -> Option<FinishedBody> {
        let requests = {
            let mut growing = self.0.growing();
            growing.is_taking = true;
            growing.requests.iter().cloned().collect()
        };
        // The node's own results stay where they are, until it takes them or their fence passes.
        let shared = &self.0.submitter.shared;
        shared.take(block_slot, Some(requests), None);
        self.0.growing().is_taking = false;
        let mut taken = None;
        self.0.step(|growing| {
            let (made, effects) = growing.candidate.take(&block_of(block_slot, parent));
            taken = made;
            effects
        });
        taken.map(finished)
    }
}

type Made = Arc<proto::Outcome>;

struct Growing {
    candidate: Candidate<BodyComponent, Made>,
    /// Of the node.
    slot: u64,
    /// What all merges share.
    shared: Merge,
    /// The proposal is now: nothing more is submitted for it.
    is_taking: bool,
    /// Merges that were asked for: the answer to an earlier one than the last is stale.
    asked: u64,
    /// The newest merges of this candidate that have not ended.
    requests: VecDeque<RequestId>,
}

pub(super) struct Body {
    submitter: Arc<Submitter>,
    gates: Box<dyn Fn() -> Gates + Send + Sync>,
    options: BodyOptions,
    /// May be locked under the adapter's lock, never the other way: while it is held, neither the
    /// adapter nor a closure of the node is called.
    growing: Mutex<Growing>,
}

/// The calls of the adapter that follow a change of the candidate.
#[derive(Default)]
struct Calls {
    cancel: Vec<RequestId>,
    submit: Option<Ask>,
}

/// A merge that is to be submitted.
struct Ask {
    number: u64,
    slot: u64,
    block_slot: u64,
    merge: Merge,
}

impl Drop for Body {
    fn drop(&mut self) {
        let growing = self.growing.get_mut();
        let growing = growing.unwrap_or_else(PoisonError::into_inner);
        let requests = std::mem::take(&mut growing.requests);
        self.submitter.shared.disown(requests);
    }
}

impl Body {
    fn growing(&self) -> MutexGuard<'_, Growing> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the candidate under the lock, and makes the calls that follow after it.
    fn step(&self, change: impl FnOnce(&mut Growing) -> Effects<BodyComponent>) {
        let calls = {
            let mut growing = self.growing();
            let effects = change(&mut growing);
            growing.calls_of(effects)
        };
        self.call(calls);
    }

    fn call(&self, Calls { cancel, submit }: Calls) {
        for request_id in cancel {
            let groups = None;
            self.submitter
                .shared
                .handle(Event::Cancel { request_id, groups });
        }
        if let Some(ask) = submit {
            self.submit(ask);
        }
    }

    fn submit(&self, ask: Ask) {
        let shared = &self.submitter.shared;
        let left = self.submitter.time_to_slot(ask.block_slot);
        let Some(left) = left.filter(|left| !left.is_zero()) else {
            return self.not_submitted(ask.number, None);
        };
        let fence = left.saturating_add(self.options.grace);
        if fence > BUDGET_MAX {
            // The service refuses a merge of a block too far ahead: it is asked for in a later tick.
            return self.not_submitted(ask.number, None);
        }
        let Some(gates) = shared.hooks.guard("gates", &self.gates) else {
            return self.not_submitted(ask.number, None);
        };
        let options = MergeOptions {
            priority: self.options.priority,
            may_replace: true,
            deadline: Some(left),
            fence: Some(fence),
            steps: vec![Step {
                until: left,
                weight: 1,
            }],
            ..MergeOptions::default()
        };
        let mut calls = Calls::default();
        let merge = || Ok::<_, Infallible>(Some(ask.merge));
        let on_submit = |request_id: &RequestId| {
            calls = self.submitted(ask.number, request_id);
        };
        let answer = self
            .submitter
            .merge_or_skip(ask.slot, gates, merge, &options, on_submit);
        if let Err(skip) = answer {
            shared.tell_skip_reason(ask.slot, &skip);
            self.not_submitted(ask.number, Some(skip.reason));
        }
        self.call(calls);
    }

    /// Called under the adapter's lock, just before it knows the merge, so that a call that forgets the
    /// candidate from now on also cancels the merge. Returns the calls to make after that of submit.
    fn submitted(&self, number: u64, request_id: &RequestId) -> Calls {
        let mut growing = self.growing();
        growing.requests.push_back(request_id.clone());
        if growing.requests.len() > REQUESTS_MAX {
            growing.requests.pop_front();
        }
        if growing.asked != number {
            return Calls {
                cancel: vec![request_id.clone()],
                submit: None,
            };
        }
        let effects = growing.candidate.submitted(request_id.clone());
        growing.calls_of(effects)
    }

    fn not_submitted(&self, number: u64, reason: Option<SkipReason>) {
        self.step(|growing| match growing.asked == number {
            true => growing.skipped(None, reason),
            false => Effects::none(),
        });
    }

    /// Whether this is a merge of the candidate, which is forgotten.
    fn end(&self, request_id: &str) -> bool {
        let mut growing = self.growing();
        let mut requests = growing.requests.iter();
        let Some(index) = requests.position(|each| **each == *request_id) else {
            return false;
        };
        growing.requests.remove(index);
        true
    }

    /// Called with each request that is skipped later. True for one of this candidate's. `may_pass`: it was
    /// refused for what is not in it, so its components are tried once more.
    pub fn skipped(&self, skip: &Skip, may_pass: bool) -> bool {
        let Some(request_id) = skip.request_id.as_deref().filter(|id| self.end(id)) else {
            return false;
        };
        self.step(|growing| match may_pass {
            true => growing.candidate.failed(request_id, &[]),
            false => growing.skipped(Some(request_id), Some(skip.reason)),
        });
        true
    }

    /// Called with each result that the node takes. True for one of this candidate's.
    pub fn absorb(&self, slot: u64, result: &TickResult) -> bool {
        let request_id = &*result.request_id;
        if !self.end(request_id) {
            return false;
        }
        let has_hook = self.submitter.shared.hooks.verify.is_some();
        self.step(|growing| {
            growing.slot = slot;
            let candidate = &mut growing.candidate;
            let Ending::Outcome(outcome) = &result.ending else {
                return candidate.failed(request_id, &[]);
            };
            if is_proved(outcome) {
                let verified_by = outcome.verified_by();
                let is_verified = has_hook || verified_by != proto::VerifiedBy::Unspecified;
                return candidate.proved(request_id, outcome.clone(), is_verified);
            }
            if is_of_size(outcome) {
                return candidate.missed(Some(request_id));
            }
            if outcome.reason() == proto::OutcomeReason::Superseded {
                return candidate.superseded(request_id);
            }
            let inputs = outcome.left_out.iter().filter_map(|each| each.input);
            let bad = inputs.filter_map(|input| match input {
                proto::left_out::Input::ComponentIndex(index) => usize::try_from(index).ok(),
                _ => None,
            });
            candidate.failed(request_id, &bad.collect::<Vec<_>>())
        });
        true
    }
}

impl Growing {
    /// Numbers the merge that is to be submitted.
    fn calls_of(&mut self, effects: Effects<BodyComponent>) -> Calls {
        let cancel = effects.cancel;
        let submit = effects.submit.and_then(|submit| {
            self.asked += 1;
            if self.is_taking {
                self.candidate.skipped(None, false);
                return None;
            }
            let components = submit.components.into_iter();
            let merge = Merge {
                components: components.map(|each| each.component).collect(),
                ..self.shared.clone()
            };
            Some(Ask {
                number: self.asked,
                slot: self.slot,
                block_slot: submit.slot,
                merge,
            })
        });
        Calls { cancel, submit }
    }

    fn skipped(
        &mut self,
        request_id: Option<&str>,
        reason: Option<SkipReason>,
    ) -> Effects<BodyComponent> {
        if reason == Some(SkipReason::PredictedMiss) {
            return self.candidate.missed(request_id);
        }
        let is_final = reason == Some(SkipReason::Invalid);
        self.candidate.skipped(request_id, is_final)
    }
}

/// Whether a smaller merge may start where this one was not started.
fn is_of_size(outcome: &proto::Outcome) -> bool {
    use proto::OutcomeReason::{Deadline, Limit, Memory, PredictedMiss};
    outcome.status() == proto::OutcomeStatus::NotStarted
        && matches!(outcome.reason(), Deadline | PredictedMiss | Memory | Limit)
}

fn finished(made: Finished<BodyComponent, Made>) -> FinishedBody {
    FinishedBody {
        components: made.components,
        claims: made.proof.claims.clone(),
        proof: made.proof.proof.clone(),
    }
}

fn block_of(slot: u64, parent: &[u8]) -> BlockRef {
    let parent = parent.iter().map(|byte| format!("{byte:02x}")).collect();
    BlockRef { slot, parent }
}

#[cfg(test)]
mod tests;
