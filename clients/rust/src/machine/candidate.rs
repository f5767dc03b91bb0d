//! The growing candidate: the proof of a block's body, built ahead of the block.
//!
//! A pure machine. It asks for a merge of all components. Where that one is foreseen to miss, it asks for
//! half of what it would add to the proof at hand. When more components come, it asks for all of them at
//! once: that merge replaces one that has not begun, and one that runs goes on. The best verified proof
//! stays at hand. [`Candidate::take`] returns that proof or nothing at once: a proposer never waits.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::RequestId;

/// Failed tries after which the same components are given up.
pub const CANDIDATE_TRIES_MAX: u32 = 2;

/// Merges in flight at once: one that runs, one that waits, and the one that replaces it.
pub const CANDIDATE_MERGES_MAX: usize = 3;

/// The block that a candidate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRef {
    /// Slot of the block.
    pub slot: u64,
    /// Root of the parent block, in hex.
    pub parent: String,
}

/// A component that the node offers for the block's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered<C> {
    /// Equal for equal components: the same message with the same signatures or proof.
    pub key: String,
    /// What it adds to a body, such as its number of votes.
    pub worth: u64,
    /// What the node submits.
    pub component: C,
}

/// What a body has, in its order, and the verified proof of all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished<C, P> {
    /// In the order of the body.
    pub components: Vec<C>,
    /// Sum over the components.
    pub worth: u64,
    /// The proof.
    pub proof: P,
}

/// What follows from an event, to be carried out in the order of the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects<C> {
    /// The merges that the node no longer wants.
    pub cancel: Vec<RequestId>,
    /// The merge to submit next, which replaces those that have not begun: [`Candidate::submitted`],
    /// [`Candidate::skipped`] or [`Candidate::missed`] follows.
    pub submit: Option<Submit<C>>,
}

impl<C> Effects<C> {
    /// No effects.
    pub fn none() -> Self {
        Effects {
            cancel: Vec::new(),
            submit: None,
        }
    }
}

/// A merge for the body of this slot's block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submit<C> {
    /// Slot of the block.
    pub slot: u64,
    /// In the order of the body.
    pub components: Vec<C>,
}

/// A merge that is asked for.
#[derive(Clone, Debug)]
struct Asked<C> {
    /// `None` between `submit` and its answer.
    request_id: Option<RequestId>,
    components: Vec<Offered<C>>,
}

/// What is known of one block's candidate.
#[derive(Clone, Debug)]
struct Growing<C, P> {
    block: BlockRef,
    offered: Vec<Offered<C>>,
    /// The merges in flight, the oldest first. Only the last may be without its answer.
    asked: Vec<Asked<C>>,
    /// Worth of the largest merge that was asked for since one has failed.
    asked_worth: u64,
    best: Option<Finished<C, P>>,
    /// Keys of bad components.
    bad: BTreeSet<String>,
    /// By the keys of the components: failed tries. `u32::MAX`: proved or given up.
    tries: BTreeMap<Vec<String>, u32>,
    /// Fewest components that have missed since the last tick: fewer are asked for. `usize::MAX`: none.
    /// 0: nothing is asked for, as a merge has failed.
    missed: usize,
}

/// A candidate, and the components of a merge of its that has ended.
type Ended<'a, C, P> = (&'a mut Growing<C, P>, Vec<Offered<C>>);

/// The candidate for the body of the node's next block.
#[derive(Clone, Debug)]
pub struct Candidate<C, P> {
    components_max: usize,
    /// `None`: no block is planned.
    growing: Option<Growing<C, P>>,
}

impl<C: Clone, P> Candidate<C, P> {
    /// A candidate for bodies of at most so many components, from 1.
    pub fn new(components_max: usize) -> Self {
        Candidate {
            components_max,
            growing: None,
        }
    }

    /// The best finished candidate.
    pub fn best(&self) -> Option<&Finished<C, P>> {
        self.growing.as_ref()?.best.as_ref()
    }

    /// What the body of this block may have, in the order of the block and of preference: a smaller
    /// candidate has the first of these. Replaces the last offer. What is worth more than all that was
    /// asked for is asked for at once. Another block than that of the last offer forgets what was for that
    /// one.
    pub fn offered(&mut self, block: BlockRef, components: Vec<Offered<C>>) -> Effects<C> {
        let mut cancel = Vec::new();
        if self.growing.as_ref().map(|growing| &growing.block) != Some(&block) {
            cancel = self.drop_all();
        }
        let growing = self.growing.get_or_insert_with(|| Growing {
            block,
            offered: Vec::new(),
            asked: Vec::new(),
            asked_worth: 0,
            best: None,
            bad: BTreeSet::new(),
            tries: BTreeMap::new(),
            missed: usize::MAX,
        });
        growing.offered = components;
        self.ask(cancel)
    }

    /// The parent has left the node's chain, and nothing replaces it yet.
    pub fn stale(&mut self) -> Effects<C> {
        let cancel = self.drop_all();
        self.ask(cancel)
    }

    /// Follows `submit`: the merge is in flight.
    pub fn submitted(&mut self, request_id: RequestId) -> Effects<C> {
        let last = self.growing.as_mut().and_then(|each| each.asked.last_mut());
        match last {
            Some(asked) if asked.request_id.is_none() => {
                asked.request_id = Some(request_id);
                self.ask(Vec::new())
            }
            _ => self.ask(vec![request_id]),
        }
    }

    /// Follows `submit` (with `None`), or `submitted`: the merge was not accepted. `is_final`: these
    /// components would be skipped again.
    pub fn skipped(&mut self, request_id: Option<&str>, is_final: bool) -> Effects<C> {
        if let Some((growing, components)) = self.ended(request_id) {
            growing.fail(&components, if is_final { u32::MAX } else { 0 });
        }
        self.ask(Vec::new())
    }

    /// Follows `submit` (with `None`), or `submitted`: so many components are foreseen to miss the block
    /// or to be too large. Fewer are asked for at once, and as many again from the next tick on.
    pub fn missed(&mut self, request_id: Option<&str>) -> Effects<C> {
        if let Some((growing, components)) = self.ended(request_id) {
            growing.missed = growing.missed.min(components.len());
        }
        self.ask(Vec::new())
    }

    /// Another merge of the node, as a rule a fuller one of this candidate, has replaced this one before it
    /// began.
    pub fn superseded(&mut self, request_id: &str) -> Effects<C> {
        if let Some((growing, components)) = self.ended(Some(request_id)) {
            // By another merge than a fuller one of this candidate, it is as if skipped.
            if growing.worth_in_flight() <= worth_of(&components) {
                growing.fail(&components, 0);
            }
        }
        self.ask(Vec::new())
    }

    /// A merge in flight is proved. `is_verified`: the node has verified the proof, or the service says
    /// that it has.
    pub fn proved(&mut self, request_id: &str, proof: P, is_verified: bool) -> Effects<C> {
        let mut cancel = Vec::new();
        if let Some((growing, components)) = self.ended(Some(request_id)) {
            if is_verified {
                cancel = growing.finish(&components, proof);
            } else {
                growing.fail(&components, 1);
            }
        }
        self.ask(cancel)
    }

    /// A merge in flight has no proof. `bad`: indices of the components that are to blame; they
    /// are not asked for again.
    pub fn failed(&mut self, request_id: &str, bad: &[usize]) -> Effects<C> {
        if let Some((growing, components)) = self.ended(Some(request_id)) {
            let named = bad.iter().filter_map(|index| components.get(*index));
            growing.bad.extend(named.map(|each| each.key.clone()));
            growing.fail(&components, 1);
        }
        self.ask(Vec::new())
    }

    /// The node's slot. What has failed is tried again from the next tick on.
    pub fn tick(&mut self, slot: u64) -> Effects<C> {
        let mut cancel = Vec::new();
        match &mut self.growing {
            Some(growing) if slot <= growing.block.slot => growing.missed = usize::MAX,
            _ => cancel = self.drop_all(),
        }
        self.ask(cancel)
    }

    /// The node makes this block now. Returns its candidate; `None`: the body is empty. A candidate
    /// for a later block goes on.
    pub fn take(&mut self, block: &BlockRef) -> (Option<Finished<C, P>>, Effects<C>) {
        let Some(growing) = &mut self.growing else {
            return (None, Effects::none());
        };
        let is_wanted = growing.block == *block;
        let taken = growing.best.take_if(|_| is_wanted);
        let mut cancel = Vec::new();
        if growing.block.slot <= block.slot {
            cancel = self.drop_all();
        }
        (taken, self.ask(cancel))
    }

    /// Forgets everything. Returns what is in flight.
    fn drop_all(&mut self) -> Vec<RequestId> {
        let asked = self.growing.take().map(|growing| growing.asked);
        asked.map(in_flight).unwrap_or_default()
    }

    /// Ends a merge in flight: returns the candidate and its components. Events of others are ignored.
    fn ended(&mut self, request_id: Option<&str>) -> Option<Ended<'_, C, P>> {
        let growing = self.growing.as_mut()?;
        let mut asked = growing.asked.iter();
        let at = asked.position(|each| each.request_id.as_deref() == request_id)?;
        let ended = growing.asked.remove(at);
        Some((growing, ended.components))
    }

    /// Asks for the next merge, if one is worth it and fewer than the most are in flight.
    fn ask(&mut self, cancel: Vec<RequestId>) -> Effects<C> {
        let max = self.components_max;
        let growing = self.growing.as_mut();
        let submit = growing.and_then(|growing| growing.ask(max));
        Effects { cancel, submit }
    }
}

impl<C: Clone, P> Growing<C, P> {
    /// Keeps the proof if it is the best. Returns what is in flight and is worth no more.
    fn finish(&mut self, components: &[Offered<C>], proof: P) -> Vec<RequestId> {
        let worth = worth_of(components);
        self.tries.insert(keys_of(components), u32::MAX);
        if worth <= self.best_worth() {
            return Vec::new();
        }
        self.best = Some(Finished {
            components: bare(components),
            worth,
            proof,
        });
        let asked = core::mem::take(&mut self.asked).into_iter();
        let (wanted, unwanted) = asked.partition(|each| worth_of(&each.components) > worth);
        self.asked = wanted;
        in_flight(unwanted)
    }

    fn fail(&mut self, components: &[Offered<C>], times: u32) {
        let tries = self.tries.entry(keys_of(components)).or_insert(0);
        *tries = tries.saturating_add(times);
        self.missed = 0;
        self.asked_worth = self.worth_in_flight();
    }

    fn worth_in_flight(&self) -> u64 {
        let worths = self.asked.iter().map(|each| worth_of(&each.components));
        worths.max().unwrap_or(0)
    }

    fn ask(&mut self, components_max: usize) -> Option<Submit<C>> {
        let is_unanswered = matches!(self.asked.last(), Some(last) if last.request_id.is_none());
        if is_unanswered || self.asked.len() >= CANDIDATE_MERGES_MAX {
            return None;
        }
        let offered = self.offered.iter();
        let useful = offered.filter(|each| each.worth > 0 && !self.bad.contains(&each.key));
        let useful: Vec<_> = useful
            .take(components_max.min(self.missed))
            .cloned()
            .collect();
        let mut components = &useful[..];
        if components.len() == self.missed {
            components = self.fewer(components);
        }
        while worth_of(components) > self.least_worth() {
            let tries = self.tries.get(&keys_of(components)).copied();
            if tries.unwrap_or(0) < CANDIDATE_TRIES_MAX {
                self.asked_worth = self.asked_worth.max(worth_of(components));
                self.asked.push(Asked {
                    request_id: None,
                    components: components.to_vec(),
                });
                return Some(Submit {
                    slot: self.block.slot,
                    components: bare(components),
                });
            }
            components = self.fewer(components);
        }
        None
    }

    /// The first of the components: without half of those that make it better.
    fn fewer<'a>(&self, components: &'a [Offered<C>]) -> &'a [Offered<C>] {
        let sizes = (1..=components.len()).rev();
        let least = self.least_worth();
        let added = sizes.take_while(|size| worth_of(&components[..*size]) > least);
        &components[..components.len() - added.count().div_ceil(2)]
    }

    /// What a merge must be worth more than: the proof at hand. Beside a merge in flight: all that was
    /// asked for, so that what was foreseen to miss is not asked for again.
    fn least_worth(&self) -> u64 {
        match self.asked.is_empty() {
            true => self.best_worth(),
            false => self.asked_worth,
        }
    }

    /// The worth of the proof at hand; 0 without one.
    fn best_worth(&self) -> u64 {
        self.best.as_ref().map_or(0, |best| best.worth)
    }
}

fn in_flight<C>(asked: Vec<Asked<C>>) -> Vec<RequestId> {
    let ids = asked.into_iter().filter_map(|each| each.request_id);
    ids.collect()
}

fn worth_of<C>(components: &[Offered<C>]) -> u64 {
    let worths = components.iter().map(|each| each.worth);
    worths.fold(0, u64::saturating_add)
}

fn bare<C: Clone>(components: &[Offered<C>]) -> Vec<C> {
    let all = components.iter().map(|each| each.component.clone());
    all.collect()
}

fn keys_of<C>(components: &[Offered<C>]) -> Vec<String> {
    components.iter().map(|each| each.key.clone()).collect()
}
