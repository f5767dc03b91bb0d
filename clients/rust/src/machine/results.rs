//! Rules 8, 9, 11 and 12: proofs in verification, results that wait, and the memory of proofs.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::event::{Fence, GroupRef, Millis, RequestId, Submission};
use super::{is_past, Effect, GroupResult};

/// A proof that has arrived, before the node may take it.
#[derive(Clone, Debug)]
pub(super) struct Proof<P> {
    pub group: GroupRef,
    pub fence: Fence,
    pub hold_until_ms: Millis,
    pub message: Vec<u8>,
    pub participants: Vec<u8>,
    pub payload: P,
}

#[derive(Clone, Debug)]
struct Ready<P> {
    result: GroupResult<P>,
    /// `None`: it has no proof, and never passes a fence.
    fence: Option<Fence>,
    hold_until_ms: Millis,
}

/// An earlier proof that was a result. It makes no duplicate from its own fence on.
#[derive(Clone, Debug)]
struct Seen {
    participants: Vec<u8>,
    fence: Fence,
}

#[derive(Clone, Debug)]
pub(super) struct Results<P> {
    has_verify_hook: bool,
    results_max: usize,
    /// In the order of their arrival.
    verifying: Vec<Proof<P>>,
    /// Oldest first.
    ready: VecDeque<Ready<P>>,
    /// By slot of submission and root.
    seen: BTreeMap<(u64, Vec<u8>), Vec<Seen>>,
}

impl<P: Clone> Results<P> {
    pub fn new(has_verify_hook: bool, results_max: usize) -> Self {
        Results {
            has_verify_hook,
            results_max,
            verifying: Vec::new(),
            ready: VecDeque::new(),
            seen: BTreeMap::new(),
        }
    }

    pub fn is_verifying_none(&self) -> bool {
        self.verifying.is_empty()
    }

    pub fn ready_count(&self, now_ms: Millis) -> usize {
        let free = |ready: &&Ready<P>| ready.hold_until_ms <= now_ms;
        self.ready.iter().filter(free).count()
    }

    pub fn next_hold_ms(&self, now_ms: Millis) -> Option<Millis> {
        let holds = self.ready.iter().map(|ready| ready.hold_until_ms);
        holds.filter(|hold| *hold > now_ms).min()
    }

    /// A proof before its fence has arrived.
    pub fn proof(&mut self, proof: Proof<P>, effects: &mut Vec<Effect<P>>) {
        if self.has_verify_hook && !self.is_duplicate(&proof) {
            effects.push(Effect::Verify {
                group: proof.group.clone(),
                payload: proof.payload.clone(),
            });
            self.verifying.push(proof);
        } else {
            self.pass(proof, effects);
        }
    }

    pub fn verified(&mut self, group: &GroupRef, is_valid: bool, effects: &mut Vec<Effect<P>>) {
        let is_it = |proof: &Proof<P>| {
            proof.group.request_id == group.request_id
                && proof.group.group_index == group.group_index
        };
        let Some(index) = self.verifying.iter().position(is_it) else {
            return;
        };
        let proof = self.verifying.remove(index);
        match is_valid {
            true => self.pass(proof, effects),
            false => self.refuse(proof, effects),
        }
    }

    pub fn refuse_all(&mut self, effects: &mut Vec<Effect<P>>) {
        for proof in core::mem::take(&mut self.verifying) {
            self.refuse(proof, effects);
        }
    }

    pub fn reported(
        &mut self,
        group: GroupRef,
        payload: P,
        submission: &Submission,
        effects: &mut Vec<Effect<P>>,
    ) {
        self.without_proof(GroupResult::Outcome(group, payload), submission, effects);
    }

    pub fn lost(&mut self, group: GroupRef, submission: &Submission, effects: &mut Vec<Effect<P>>) {
        self.without_proof(GroupResult::Lost(group), submission, effects);
    }

    pub fn cancelled(
        &mut self,
        group: GroupRef,
        submission: &Submission,
        effects: &mut Vec<Effect<P>>,
    ) {
        self.without_proof(GroupResult::Cancelled(group), submission, effects);
    }

    /// Delivers what is not held back, in the order in which it came to be: of these requests, and at
    /// most so many.
    pub fn take(
        &mut self,
        requests: Option<&[RequestId]>,
        max: Option<usize>,
        now_ms: Millis,
        effects: &mut Vec<Effect<P>>,
    ) {
        let mut left = max.unwrap_or(usize::MAX);
        let mut kept = VecDeque::new();
        for ready in core::mem::take(&mut self.ready) {
            let request_id = &ready.result.group().request_id;
            let is_wanted = requests.is_none_or(|requests| requests.contains(request_id));
            if left > 0 && is_wanted && ready.hold_until_ms <= now_ms {
                left -= 1;
                effects.push(Effect::Deliver(ready.result));
            } else {
                kept.push_back(ready);
            }
        }
        self.ready = kept;
    }

    /// Rule 9: drops every proof whose fence has passed, and forgets what such proofs had.
    pub fn expire(&mut self, now_ms: Millis, slot: Option<u64>, effects: &mut Vec<Effect<P>>) {
        self.forget_past(now_ms, slot);
        self.verifying.retain(|proof| {
            let is_over = is_past(proof.fence, now_ms, slot);
            if is_over {
                effects.push(Effect::Fenced(proof.group.clone()));
            }
            !is_over
        });
        self.ready.retain(|ready| {
            let is_over = ready
                .fence
                .is_some_and(|fence| is_past(fence, now_ms, slot));
            if is_over {
                effects.push(Effect::Fenced(ready.result.group().clone()));
            }
            !is_over
        });
    }

    /// Forgets the earlier proofs that are past their fence: they make no duplicates more.
    pub fn forget_past(&mut self, now_ms: Millis, slot: Option<u64>) {
        self.seen.retain(|_, seen| {
            seen.retain(|proof| !is_past(proof.fence, now_ms, slot));
            !seen.is_empty()
        });
    }

    fn refuse(&mut self, proof: Proof<P>, effects: &mut Vec<Effect<P>>) {
        let ready = Ready {
            result: GroupResult::Refused(proof.group),
            fence: None,
            hold_until_ms: proof.hold_until_ms,
        };
        self.push(ready, effects);
    }

    fn without_proof(
        &mut self,
        result: GroupResult<P>,
        submission: &Submission,
        effects: &mut Vec<Effect<P>>,
    ) {
        let ready = Ready {
            result,
            fence: None,
            hold_until_ms: submission.hold_until_ms,
        };
        self.push(ready, effects);
    }

    /// A proof that is good: a result, or a duplicate of one.
    fn pass(&mut self, proof: Proof<P>, effects: &mut Vec<Effect<P>>) {
        let hold_until_ms = proof.hold_until_ms;
        let ready = if self.is_duplicate(&proof) {
            Ready {
                result: GroupResult::Duplicate(proof.group),
                fence: None,
                hold_until_ms,
            }
        } else {
            // A proof of several messages has no message of its own, and never makes a duplicate.
            if !proof.message.is_empty() {
                self.remember(&proof);
            }
            Ready {
                result: GroupResult::Outcome(proof.group, proof.payload),
                fence: Some(proof.fence),
                hold_until_ms,
            }
        };
        self.push(ready, effects);
    }

    /// Keeps the participants, so that a later proof with no others is a duplicate.
    fn remember(&mut self, proof: &Proof<P>) {
        let key = (proof.group.slot, proof.message.clone());
        self.seen.entry(key).or_default().push(Seen {
            participants: proof.participants.clone(),
            fence: proof.fence,
        });
    }

    fn is_duplicate(&self, proof: &Proof<P>) -> bool {
        self.seen
            .get(&(proof.group.slot, proof.message.clone()))
            .is_some_and(|seen| {
                let mut earlier = seen.iter();
                earlier.any(|each| covers(&each.participants, &proof.participants))
            })
    }

    fn push(&mut self, ready: Ready<P>, effects: &mut Vec<Effect<P>>) {
        self.ready.push_back(ready);
        if self.ready.len() > self.results_max {
            if let Some(oldest) = self.ready.pop_front() {
                effects.push(Effect::Dropped(oldest.result.group().clone()));
            }
        }
    }
}

/// Whether `all` has every bit of `some`.
fn covers(all: &[u8], some: &[u8]) -> bool {
    some.iter()
        .enumerate()
        .all(|(index, byte)| byte & !all.get(index).copied().unwrap_or(0) == 0)
}
