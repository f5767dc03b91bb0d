//! The growing candidate: the proof of a block's body, built ahead of the block.
//!
//! A pure machine. It asks for a merge of all components. Where that one is foreseen to miss, it asks for
//! half of what it would add to the proof at hand. One merge is asked for at a time, and the best
//! verified proof stays at hand. [`Candidate::take`] returns that proof or nothing at once: a proposer
//! never waits.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use super::RequestId;

/// Failed tries after which the same components are given up.
pub const CANDIDATE_TRIES_MAX: u32 = 2;

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
    /// The merge that the node no longer wants.
    pub cancel: Option<RequestId>,
    /// The merge to submit next: [`Candidate::submitted`] or [`Candidate::skipped`] follows.
    pub submit: Option<Submit<C>>,
}

impl<C> Effects<C> {
    /// No effects.
    pub fn none() -> Self {
        Effects {
            cancel: None,
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

/// The merge that is asked for.
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
    asked: Option<Asked<C>>,
    best: Option<Finished<C, P>>,
    /// Keys of bad components.
    bad: BTreeSet<String>,
    /// By the keys of the components: failed tries. `u32::MAX`: proved or given up.
    tries: BTreeMap<Vec<String>, u32>,
    /// Fewest components that have missed since the last tick: fewer are asked for. `usize::MAX`: none.
    /// 0: nothing is asked for, as a merge has failed.
    missed: usize,
}

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
    /// candidate has the first of these. Replaces the last offer: what is asked next has this one's
    /// components. Another block than that of the last offer forgets what was for that one.
    pub fn offered(&mut self, block: BlockRef, components: Vec<Offered<C>>) -> Effects<C> {
        let mut cancel = None;
        if self.growing.as_ref().map(|growing| &growing.block) != Some(&block) {
            cancel = self.drop_all();
        }
        let growing = self.growing.get_or_insert_with(|| Growing {
            block,
            offered: Vec::new(),
            asked: None,
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
        match self.growing.as_mut().and_then(|each| each.asked.as_mut()) {
            Some(asked) if asked.request_id.is_none() => {
                asked.request_id = Some(request_id);
                Effects::none()
            }
            _ => self.ask(Some(request_id)),
        }
    }

    /// Follows `submit` (with `None`), or `submitted`: the merge was not accepted. `is_final`: these
    /// components would be skipped again.
    pub fn skipped(&mut self, request_id: Option<&str>, is_final: bool) -> Effects<C> {
        if let Some(growing) = self.asking(request_id) {
            growing.fail(if is_final { u32::MAX } else { 0 });
        }
        self.ask(None)
    }

    /// Follows `submit` (with `None`), or `submitted`: so many components are foreseen to miss the block
    /// or to be too large. Fewer are asked for at once, and as many again from the next tick on.
    pub fn missed(&mut self, request_id: Option<&str>) -> Effects<C> {
        if let Some(growing) = self.asking(request_id) {
            growing.missed = growing
                .asked
                .take()
                .map_or(0, |asked| asked.components.len());
        }
        self.ask(None)
    }

    /// The merge in flight is proved. `is_verified`: someone else than the maker of the proof has
    /// verified it.
    pub fn proved(&mut self, request_id: &str, proof: P, is_verified: bool) -> Effects<C> {
        if let Some(growing) = self.asking(Some(request_id)) {
            if is_verified {
                growing.finish(proof);
            } else {
                growing.fail(1);
            }
        }
        self.ask(None)
    }

    /// The merge in flight has no proof. `bad`: indices of the components that are to blame; they
    /// are not asked for again.
    pub fn failed(&mut self, request_id: &str, bad: &[usize]) -> Effects<C> {
        if let Some(growing) = self.asking(Some(request_id)) {
            let components = growing.asked.iter().flat_map(|asked| &asked.components);
            let named = components
                .enumerate()
                .filter(|(index, _)| bad.contains(index));
            let keys: Vec<_> = named.map(|(_, each)| each.key.clone()).collect();
            growing.bad.extend(keys);
            growing.fail(1);
        }
        self.ask(None)
    }

    /// The node's slot. What has failed is tried again from the next tick on.
    pub fn tick(&mut self, slot: u64) -> Effects<C> {
        let mut cancel = None;
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
        let mut cancel = None;
        if growing.block.slot <= block.slot {
            cancel = self.drop_all();
        }
        (taken, self.ask(cancel))
    }

    /// Forgets everything. Returns what is in flight.
    fn drop_all(&mut self) -> Option<RequestId> {
        self.growing.take()?.asked?.request_id
    }

    /// The candidate, if this is the merge that it asks for. Events of others are ignored.
    fn asking(&mut self, request_id: Option<&str>) -> Option<&mut Growing<C, P>> {
        let growing = self.growing.as_mut()?;
        let asked = growing.asked.as_ref()?;
        (asked.request_id.as_deref() == request_id).then_some(growing)
    }

    /// Asks for the next merge, if one is worth it and no other is in flight.
    fn ask(&mut self, cancel: Option<RequestId>) -> Effects<C> {
        let submit = match &mut self.growing {
            Some(growing) if growing.asked.is_none() => growing.ask(self.components_max),
            _ => None,
        };
        Effects { cancel, submit }
    }
}

impl<C: Clone, P> Growing<C, P> {
    fn finish(&mut self, proof: P) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        let worth = worth_of(&asked.components);
        self.tries.insert(keys_of(&asked.components), u32::MAX);
        if worth > self.best_worth() {
            self.best = Some(Finished {
                components: bare(&asked.components),
                worth,
                proof,
            });
        }
    }

    fn fail(&mut self, times: u32) {
        if let Some(asked) = self.asked.take() {
            let tries = self.tries.entry(keys_of(&asked.components)).or_insert(0);
            *tries = tries.saturating_add(times);
            self.missed = 0;
        }
    }

    fn ask(&mut self, components_max: usize) -> Option<Submit<C>> {
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
        while worth_of(components) > self.best_worth() {
            let tries = self.tries.get(&keys_of(components)).copied();
            if tries.unwrap_or(0) < CANDIDATE_TRIES_MAX {
                self.asked = Some(Asked {
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

    /// The first of the components: without half of those that add to the proof at hand.
    fn fewer<'a>(&self, components: &'a [Offered<C>]) -> &'a [Offered<C>] {
        let sizes = (1..=components.len()).rev();
        let best = self.best_worth();
        let added = sizes.take_while(|size| worth_of(&components[..*size]) > best);
        &components[..components.len() - added.count().div_ceil(2)]
    }

    /// The worth of the proof at hand; 0 without one.
    fn best_worth(&self) -> u64 {
        self.best.as_ref().map_or(0, |best| best.worth)
    }
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
