//! Rules 6, 8, 10 and 12: how groups end, each once.

use alloc::vec::Vec;

use super::event::{EndpointIndex, Millis, RequestId, ServiceState, SkipReason, WireOutcome};
use super::request::Request;
use super::results::Proof;
use super::{Effect, Endpoint, Machine};

impl<P: Clone> Machine<P> {
    /// Takes an outcome. From an endpoint without a place, only a proof counts.
    pub(super) fn outcome(
        &mut self,
        outcome: WireOutcome<P>,
        now_ms: Millis,
        effects: &mut Vec<Effect<P>>,
    ) {
        let (endpoint, group) = (outcome.endpoint, outcome.group_index);
        if endpoint >= self.endpoints.len() {
            return;
        }
        let Some(&number) = self.numbers.get(&outcome.request_id) else {
            return;
        };
        if group >= self.requests[&number].submission.groups {
            return;
        }
        self.arrive(number, endpoint, now_ms, effects);
        let has_place = self.requests[&number].places.contains_key(&endpoint);
        if !has_place && !outcome.is_proof {
            return;
        }
        let is_drained = has_place && outcome.is_drained;
        if is_drained {
            self.set_state(endpoint, ServiceState::Draining);
        }
        let has_ready = self.endpoints.iter().any(Endpoint::is_ready);
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        if is_drained && has_ready {
            request.places.remove(&endpoint);
            return;
        }
        if let Some(place) = request.places.get_mut(&endpoint) {
            place.ended[group] = true;
        }
        let request = &self.requests[&number];
        if request.ended[group]
            || (!outcome.is_proof && self.is_open_elsewhere(request, endpoint, group))
        {
            return;
        }
        self.end_group(number, outcome, now_ms, effects);
    }

    /// An event is as good as the service's answer, where the request has a place.
    fn arrive(
        &mut self,
        number: u64,
        endpoint: EndpointIndex,
        now_ms: Millis,
        effects: &mut Vec<Effect<P>>,
    ) {
        if self.requests[&number].places.contains_key(&endpoint) {
            self.hold(number, endpoint, None, now_ms, effects);
        }
    }

    fn is_open_elsewhere(&self, request: &Request, endpoint: EndpointIndex, group: usize) -> bool {
        let mut places = request.places.iter();
        places.any(|(other, place)| {
            *other != endpoint && !place.ended[group] && self.is_live(request, *other, place)
        })
    }

    fn end_group(
        &mut self,
        number: u64,
        outcome: WireOutcome<P>,
        now_ms: Millis,
        effects: &mut Vec<Effect<P>>,
    ) {
        let (endpoint, index) = (outcome.endpoint, outcome.group_index);
        let is_fenced = self.is_fenced(&self.requests[&number], now_ms);
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        request.ended[index] = true;
        request.is_accepted = true;
        for (other, place) in &request.places {
            if *other != endpoint && place.held_by.is_some() && !place.ended[index] {
                effects.push(Effect::Cancel {
                    endpoint: *other,
                    request_id: request.id().clone(),
                    groups: [index].into(),
                });
            }
        }
        let group = request.group_ref(index, Some(endpoint));
        let submission = &request.submission;
        if !outcome.is_proof {
            self.results
                .reported(group, outcome.payload, submission, effects);
            return;
        }
        if outcome.is_late {
            effects.push(Effect::Late(group.clone()));
        }
        if outcome.is_erased || is_fenced {
            effects.push(Effect::Fenced(group));
            return;
        }
        let proof = Proof {
            group,
            fence: submission.fence,
            hold_until_ms: submission.hold_until_ms,
            message: outcome.message,
            participants: outcome.participants,
            payload: outcome.payload,
        };
        self.results.proof(proof, effects);
    }

    /// Takes the end of a request at one endpoint. The first one of a request is for the metrics.
    pub(super) fn summary(
        &mut self,
        endpoint: EndpointIndex,
        request_id: &RequestId,
        duration_ms: Millis,
        now_ms: Millis,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(&number) = self.numbers.get(request_id) else {
            return;
        };
        self.arrive(number, endpoint, now_ms, effects);
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        let Some(place) = request.places.get_mut(&endpoint) else {
            return;
        };
        place.ended.fill(true);
        if request.is_summarised {
            return;
        }
        request.is_summarised = true;
        self.free_latch(request_id);
        effects.push(Effect::Summarised {
            request_id: request_id.clone(),
            endpoint,
            duration_ms,
        });
    }

    /// Ends groups that the node no longer wants, and cancels them wherever they may be.
    pub(super) fn cancel(
        &mut self,
        request_id: &RequestId,
        groups: Option<&[usize]>,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(&number) = self.numbers.get(request_id) else {
            return;
        };
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        let mut named = request.unended();
        named.retain(|group| groups.is_none_or(|groups| groups.contains(group)));
        if named.is_empty() {
            return;
        }
        for endpoint in request.places.keys() {
            effects.push(Effect::Cancel {
                endpoint: *endpoint,
                request_id: request_id.clone(),
                groups: named.clone(),
            });
        }
        for group in named {
            request.ended[group] = true;
            let cancelled = request.group_ref(group, None);
            self.results
                .cancelled(cancelled, &request.submission, effects);
        }
    }

    /// Rule 12: ends everything; nothing more will come.
    pub(super) fn close(&mut self, effects: &mut Vec<Effect<P>>) {
        self.is_closing = true;
        self.is_closed = true;
        for number in self.numbers_in_order() {
            let request = &self.requests[&number];
            let unended = request.unended();
            if unended.is_empty() {
                continue;
            }
            for endpoint in request.places.keys() {
                if !self.is_down(*endpoint) {
                    effects.push(Effect::Cancel {
                        endpoint: *endpoint,
                        request_id: request.id().clone(),
                        groups: unended.clone(),
                    });
                }
            }
            match request.is_accepted {
                true => self.lose(number, &unended, effects),
                false => self.skip(number, SkipReason::Draining, effects),
            }
        }
        self.results.refuse_all(effects);
    }

    /// Ends groups that no service will end.
    pub(super) fn lose(&mut self, number: u64, groups: &[usize], effects: &mut Vec<Effect<P>>) {
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        for group in groups {
            request.ended[*group] = true;
            let lost = request.group_ref(*group, None);
            effects.push(Effect::Lost(lost.clone()));
            self.results.lost(lost, &request.submission, effects);
        }
    }
}
