//! Rule 4: submissions, tries and their answers. A try is one `send`.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::event::{EndpointIndex, Millis, RequestId, ServiceState, SkipReason, Submission};
use super::request::{Place, Request, Try};
use super::{Effect, Link, Machine, Send};

/// The wait before a try that failed without an answer is sent again.
const RETRY_MS: Millis = 100;

/// How a `send` is made.
#[derive(Clone, Copy)]
pub(super) struct Sending {
    pub after_ms: Millis,
    pub deadline_at_ms: Millis,
    pub is_lookup: bool,
    pub is_resubmission: bool,
}

impl Sending {
    fn ordinary(after_ms: Millis, deadline_at_ms: Millis) -> Self {
        Sending {
            after_ms,
            deadline_at_ms,
            is_lookup: false,
            is_resubmission: false,
        }
    }
}

impl<P: Clone> Machine<P> {
    pub(super) fn submit(
        &mut self,
        submission: Submission,
        now_ms: Millis,
        effects: &mut Vec<Effect<P>>,
    ) {
        if self.numbers.contains_key(&submission.request_id) {
            return;
        }
        for earlier in self.requests.values_mut() {
            earlier.is_outdated |= earlier.submission.latch == submission.latch;
        }
        let number = self.next_number;
        self.next_number += 1;
        let request_id = submission.request_id.clone();
        self.latches.insert(submission.latch, request_id.clone());
        self.numbers.insert(request_id, number);
        let sending = Sending::ordinary(0, submission.deadline_at_ms);
        let request = Request::new(submission, self.endpoints.len());
        let target = self.target(Some(&request));
        let is_fenced = self.is_fenced(&request, now_ms);
        self.requests.insert(number, request);
        if self.is_closed {
            self.skip(number, SkipReason::Draining, effects);
            return;
        }
        if let Some(endpoint) = target.filter(|_| !is_fenced) {
            self.send(number, endpoint, sending, effects);
        }
        self.drop_bytes(number, effects);
    }

    /// Rule 11: the oldest requests lose their bytes first, and the newest keeps them.
    fn drop_bytes(&mut self, newest: u64, effects: &mut Vec<Effect<P>>) {
        let kept = self.requests.values().filter(|request| request.has_bytes);
        let mut total: usize = kept.map(|request| request.submission.bytes).sum();
        for request in self.requests.range_mut(..newest).map(|(_, each)| each) {
            if total <= self.bytes_max {
                return;
            }
            if request.has_bytes {
                request.has_bytes = false;
                total -= request.submission.bytes;
                let request_id = request.id().clone();
                effects.push(Effect::Forget { request_id });
            }
        }
    }

    /// Sends a request. Its place there is asked from now on, if it has none yet.
    pub(super) fn send(
        &mut self,
        number: u64,
        endpoint: EndpointIndex,
        sending: Sending,
        effects: &mut Vec<Effect<P>>,
    ) {
        let order = self.next_place;
        self.next_place += 1;
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        let groups = request.submission.groups;
        request.places.entry(endpoint).or_insert_with(|| Place {
            held_by: None,
            ended: vec![false; groups],
            is_crossing: false,
            is_unnamed: false,
            order,
        });
        request.resubmissions += u32::from(sending.is_resubmission);
        request.open_try = Some(Try {
            endpoint,
            deadline_at_ms: sending.deadline_at_ms,
            is_lookup: sending.is_lookup,
        });
        effects.push(Effect::Send(Send {
            request_id: request.id().clone(),
            endpoint,
            after_ms: sending.after_ms,
            deadline_at_ms: sending.deadline_at_ms,
            fence_at_ms: request.submission.fence.at_ms,
            is_lookup: sending.is_lookup,
            is_resubmission: sending.is_resubmission,
        }));
    }

    pub(super) fn accept(
        &mut self,
        request_id: &RequestId,
        endpoint: EndpointIndex,
        service_id: Arc<str>,
        fence_at_ms: Millis,
        now_ms: Millis,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(&number) = self.numbers.get(request_id) else {
            return;
        };
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        if request.awaits_answer(endpoint) || request.places.contains_key(&endpoint) {
            // What the service says can only shorten the fence (rule 9).
            let fence = &mut request.submission.fence;
            fence.at_ms = fence.at_ms.min(fence_at_ms);
            self.hold(number, endpoint, Some(service_id), now_ms, effects);
        }
    }

    pub(super) fn refuse(
        &mut self,
        request_id: &RequestId,
        endpoint: EndpointIndex,
        reason: SkipReason,
        now_ms: Millis,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some((number, tried)) = self.end_try(request_id, endpoint) else {
            return;
        };
        let state = match reason {
            SkipReason::Draining => Some(ServiceState::Draining),
            SkipReason::NoProver => Some(ServiceState::NoProver),
            _ => None,
        };
        if let Some(state) = state {
            self.set_state(endpoint, state);
        }
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        request.places.remove(&endpoint);
        request.refused[endpoint] = true;
        if request.is_accepted {
            return;
        }
        let request = &self.requests[&number];
        let target = self.target(Some(request)).filter(|target| {
            let endpoint = &self.endpoints[*target];
            endpoint.link == Link::Connecting || endpoint.is_ready()
        });
        let can_send = state.is_some() && self.can_send(request, tried.deadline_at_ms, now_ms);
        match target.filter(|_| can_send) {
            Some(target) => {
                let sending = Sending::ordinary(0, tried.deadline_at_ms);
                self.send(number, target, sending, effects);
            }
            None => self.skip(number, reason, effects),
        }
    }

    pub(super) fn fail(
        &mut self,
        request_id: &RequestId,
        endpoint: EndpointIndex,
        is_timeout: bool,
        now_ms: Millis,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some((number, tried)) = self.end_try(request_id, endpoint) else {
            return;
        };
        let request = &self.requests[&number];
        let is_needed = self.is_homeless(request) && self.may_resend(request, now_ms);
        if request.is_accepted && !is_needed {
            return;
        }
        if is_timeout && !tried.is_lookup && self.can_send(request, Millis::MAX, now_ms) {
            let sending = Sending {
                is_lookup: true,
                ..Sending::ordinary(0, tried.deadline_at_ms)
            };
            self.send(number, endpoint, sending, effects);
            return;
        }
        let retry_at_ms = now_ms.saturating_add(RETRY_MS);
        if !is_timeout && self.can_send(request, tried.deadline_at_ms, retry_at_ms) {
            // Without an endpoint the request is homeless: rule 5 sends it, or its deadline ends it.
            if let Some(target) = self.target(Some(request)) {
                let sending = Sending::ordinary(RETRY_MS, tried.deadline_at_ms);
                self.send(number, target, sending, effects);
            }
            return;
        }
        if !request.is_accepted {
            self.skip(number, SkipReason::Unreachable, effects);
        }
    }

    /// Whether the bytes are there, and deadline and fence are later than `at_ms`.
    fn can_send(&self, request: &Request, deadline_at_ms: Millis, at_ms: Millis) -> bool {
        request.has_bytes && !self.is_fenced(request, at_ms) && deadline_at_ms > at_ms
    }

    /// Ends the try that this answers. `None`: the answer does not count.
    fn end_try(&mut self, request_id: &RequestId, endpoint: EndpointIndex) -> Option<(u64, Try)> {
        let number = *self.numbers.get(request_id)?;
        let request = self.requests.get_mut(&number)?;
        let tried = request
            .open_try
            .take_if(|tried| tried.endpoint == endpoint)?;
        Some((number, tried))
    }

    /// Ends a request that no endpoint has accepted; its groups have no result.
    pub(super) fn skip(&mut self, number: u64, reason: SkipReason, effects: &mut Vec<Effect<P>>) {
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        request.is_skipped = true;
        request.open_try = None;
        effects.push(Effect::Skip {
            request_id: Some(request.id().clone()),
            reason,
        });
    }
}
