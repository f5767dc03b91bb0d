//! A submission that is not over, and its places.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::event::{EndpointIndex, GroupRef, Millis, RequestId, Submission};

/// An endpoint that may hold a request.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// `None`: asked, no answer yet. Else held, and the id of the service that said so.
    pub held_by: Option<Arc<str>>,
    /// Groups that this endpoint has ended.
    pub ended: Vec<bool>,
    /// Its try was open at the last `Opening`: a service that says unknown may not have had it yet.
    pub is_crossing: bool,
    /// Held, and the last `Opening` did not name it: all groups of its request had ended.
    pub is_unnamed: bool,
    /// Grows with each place of the machine: earlier places are smaller.
    pub order: u64,
}

/// A `send` that has no answer yet.
#[derive(Clone, Debug)]
pub(super) struct Try {
    pub endpoint: EndpointIndex,
    pub deadline_at_ms: Millis,
    pub is_lookup: bool,
}

/// A submission until it is over.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub submission: Submission,
    /// Groups that have ended.
    pub ended: Vec<bool>,
    /// By endpoint.
    pub places: BTreeMap<EndpointIndex, Place>,
    /// By endpoint: it has refused the request.
    pub refused: Vec<bool>,
    /// `None`: no try waits for an answer.
    pub open_try: Option<Try>,
    /// Some endpoint has accepted the request.
    pub is_accepted: bool,
    /// The shell still has the frozen bytes.
    pub has_bytes: bool,
    pub resubmissions: u32,
    /// A later submission of the same latch has been made.
    pub is_outdated: bool,
    /// Ended without results, as no endpoint has accepted it.
    pub is_skipped: bool,
    pub is_summarised: bool,
    /// When the fence passed, as far as an event has shown.
    pub fenced_at_ms: Option<Millis>,
}

impl Request {
    pub fn new(submission: Submission, endpoints: usize) -> Self {
        let ended = vec![false; submission.groups];
        Request {
            submission,
            ended,
            places: BTreeMap::new(),
            refused: vec![false; endpoints],
            open_try: None,
            is_accepted: false,
            has_bytes: true,
            resubmissions: 0,
            is_outdated: false,
            is_skipped: false,
            is_summarised: false,
            fenced_at_ms: None,
        }
    }

    pub fn id(&self) -> &RequestId {
        &self.submission.request_id
    }

    pub fn is_ended(&self) -> bool {
        self.ended.iter().all(|ended| *ended)
    }

    pub fn unended(&self) -> Vec<usize> {
        indices(&self.ended, false)
    }

    pub fn group_ref(&self, group_index: usize, endpoint: Option<EndpointIndex>) -> GroupRef {
        GroupRef {
            request_id: self.id().clone(),
            group_index,
            slot: self.submission.slot,
            endpoint,
        }
    }

    /// Whether the open try went to this endpoint.
    pub fn awaits_answer(&self, endpoint: EndpointIndex) -> bool {
        self.open_try
            .as_ref()
            .is_some_and(|open| open.endpoint == endpoint)
    }

    pub fn has_held_place(&self) -> bool {
        self.places.values().any(|place| place.held_by.is_some())
    }

    /// Whether the endpoint can take the request: it has neither refused it nor holds it.
    pub fn is_open_to(&self, endpoint: EndpointIndex) -> bool {
        let place = self.places.get(&endpoint);
        !self.refused[endpoint] && place.is_none_or(|place| place.held_by.is_none())
    }

    /// Whether every place has ended the group, also those at endpoints that are down.
    pub fn is_ended_everywhere(&self, group: usize) -> bool {
        self.places.values().all(|place| place.ended[group])
    }
}

/// The indices at which `flags` has `value`, ascending.
pub(super) fn indices(flags: &[bool], value: bool) -> Vec<usize> {
    (0..flags.len())
        .filter(|index| flags[*index] == value)
        .collect()
}
