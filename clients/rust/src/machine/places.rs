//! Rules 5 and 6: the endpoints that may hold a request, and where a homeless one goes.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::event::{AwaitedState, EndpointIndex, Millis, ServiceState};
use super::request::{indices, Place, Request};
use super::tries::Sending;
use super::{Effect, Link, Machine};

/// A request that was resubmitted this often may be what kills the services.
const RESUBMISSIONS_MAX: u32 = 3;

impl<P: Clone> Machine<P> {
    /// Applies what an opened stream says of the requests that its request named.
    pub(super) fn open(
        &mut self,
        endpoint: EndpointIndex,
        service_id: Arc<str>,
        state: ServiceState,
        awaited: &[AwaitedState],
        now_ms: Millis,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(link) = self.endpoints.get_mut(endpoint) else {
            return;
        };
        link.link = Link::Up;
        link.state = state;
        link.service_id = Some(service_id.clone());
        let answers: BTreeMap<&str, bool> = awaited
            .iter()
            .map(|each| (&*each.request_id, each.is_known))
            .collect();
        for number in self.numbers_in_order() {
            let request = &self.requests[&number];
            let Some(place) = request.places.get(&endpoint) else {
                continue;
            };
            match answers.get(&**request.id()) {
                Some(true) => {
                    let service_id = Some(service_id.clone());
                    self.hold(number, endpoint, service_id, now_ms, effects);
                }
                Some(false) if !place.is_crossing => {
                    self.doubt(number, endpoint, &service_id, effects);
                }
                // Its summary may have come before the stream, which does not send it again.
                _ if place.is_unnamed => self.leave(number, endpoint),
                _ => self.drop_later(number, now_ms, effects),
            }
        }
    }

    /// Removes the request's place at this endpoint.
    fn leave(&mut self, number: u64, endpoint: EndpointIndex) {
        if let Some(request) = self.requests.get_mut(&number) {
            request.places.remove(&endpoint);
        }
    }

    /// A service says that it does not know the request.
    fn doubt(
        &mut self,
        number: u64,
        endpoint: EndpointIndex,
        service_id: &Arc<str>,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        let held_by = request.places.get(&endpoint).map(|place| &place.held_by);
        let (is_gone, is_other) = match held_by {
            Some(Some(holder)) => (holder == service_id, holder != service_id),
            // An open try may still arrive there.
            Some(None) => (!request.awaits_answer(endpoint), false),
            None => (false, false),
        };
        if is_gone {
            request.places.remove(&endpoint);
        }
        let link = &mut self.endpoints[endpoint];
        if is_other && !link.is_balanced {
            link.is_balanced = true;
            effects.push(Effect::Balanced { endpoint });
        }
    }

    /// Notes that the endpoint holds the request: it has accepted or knows it, or has sent an event
    /// of it (`service_id` is `None`). Cancels what needs no second proof.
    pub(super) fn hold(
        &mut self,
        number: u64,
        endpoint: EndpointIndex,
        service_id: Option<Arc<str>>,
        now_ms: Millis,
        effects: &mut Vec<Effect<P>>,
    ) {
        let Some(link) = self.endpoints.get(endpoint) else {
            return;
        };
        let service_id = service_id.or_else(|| link.service_id.clone());
        let service_id = service_id.unwrap_or_else(|| Arc::from(""));
        let order = self.next_place;
        self.next_place += 1;
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        request.is_accepted = true;
        request.open_try.take_if(|tried| tried.endpoint == endpoint);
        let groups = request.submission.groups;
        let place = request.places.entry(endpoint).or_insert_with(|| Place {
            held_by: None,
            ended: vec![false; groups],
            is_crossing: false,
            is_unnamed: false,
            order,
        });
        let is_new = place.held_by.is_none();
        place.held_by.get_or_insert(service_id);
        self.drop_later(number, now_ms, effects);
        let request = &self.requests[&number];
        let groups = indices(&request.ended, true);
        if is_new && !groups.is_empty() && request.places.contains_key(&endpoint) {
            effects.push(Effect::Cancel {
                endpoint,
                request_id: request.id().clone(),
                groups,
            });
        }
    }

    /// Rule 6: cancels and removes the places later than one that is held, at an endpoint that is
    /// up and reaches the service that holds it, if that one can still end every unended group.
    /// After the deadline both go on.
    fn drop_later(&mut self, number: u64, now_ms: Millis, effects: &mut Vec<Effect<P>>) {
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        if now_ms >= request.submission.deadline_at_ms || request.places.len() < 2 {
            return;
        }
        let endpoints = &self.endpoints;
        let unended = request.unended();
        let is_sure = |endpoint: EndpointIndex, place: &Place| {
            let link = &endpoints[endpoint];
            place.held_by.is_some()
                && link.link == Link::Up
                && link.service_id == place.held_by
                && !unended.iter().any(|group| place.ended[*group])
        };
        let sure = request.places.iter();
        let sure = sure.filter(|(endpoint, place)| is_sure(**endpoint, place));
        let Some(first) = sure.map(|(_, place)| place.order).min() else {
            return;
        };
        let request_id = request.id().clone();
        request.places.retain(|endpoint, place| {
            let is_later = place.order > first;
            if is_later {
                effects.push(Effect::Cancel {
                    endpoint: *endpoint,
                    request_id: request_id.clone(),
                    groups: Vec::new(),
                });
            }
            !is_later
        });
    }

    /// Whether the place may still report: its endpoint is not down, and it is held, or its try is
    /// open.
    pub(super) fn is_live(
        &self,
        request: &Request,
        endpoint: EndpointIndex,
        place: &Place,
    ) -> bool {
        (place.held_by.is_some() || request.awaits_answer(endpoint))
            && self.endpoints[endpoint].link != Link::Down
    }

    /// Whether an unended group has no live place that could end it.
    pub(super) fn is_homeless(&self, request: &Request) -> bool {
        let is_lost = |group: usize| {
            let mut places = request.places.iter();
            !places.any(|(endpoint, place)| {
                !place.ended[group] && self.is_live(request, *endpoint, place)
            })
        };
        !request.is_skipped && request.unended().into_iter().any(is_lost)
    }

    /// Whether nothing but the number of resubmissions can keep a request from being sent again.
    pub(super) fn may_resend(&self, request: &Request, now_ms: Millis) -> bool {
        !self.is_closing
            && request.has_bytes
            && !self.is_fenced(request, now_ms)
            && !request.is_outdated
    }

    /// Whether rule 5 may send the request some time: an endpoint is left for it.
    pub(super) fn will_resend(&self, request: &Request, now_ms: Millis) -> bool {
        self.may_resend(request, now_ms)
            && request.resubmissions < RESUBMISSIONS_MAX
            && (0..self.endpoints.len()).any(|endpoint| request.is_open_to(endpoint))
    }

    /// Step two: sends what is homeless, and frees the latch of what stays so (rule 3).
    pub(super) fn place_homeless(&mut self, now_ms: Millis, effects: &mut Vec<Effect<P>>) {
        for number in self.numbers_in_order() {
            let request = &self.requests[&number];
            if !self.is_homeless(request) {
                continue;
            }
            if let Some((endpoint, sending)) = self.resending(request, now_ms) {
                self.send(number, endpoint, sending, effects);
            } else {
                let request_id = request.id().clone();
                self.free_latch(&request_id);
            }
        }
    }

    /// Where and how a homeless request is sent now.
    fn resending(&self, request: &Request, now_ms: Millis) -> Option<(EndpointIndex, Sending)> {
        let submission = &request.submission;
        // Nobody has it: this is still the node's own try.
        let is_resubmission = request.is_accepted || !request.places.is_empty();
        let deadline_at_ms = match is_resubmission {
            true => submission.fence.at_ms,
            false => submission.deadline_at_ms,
        };
        let target = self.target(Some(request))?;
        let is_sent = self.will_resend(request, now_ms)
            && self.endpoints[target].link == Link::Up
            && now_ms < deadline_at_ms;
        let sending = Sending {
            after_ms: 0,
            deadline_at_ms,
            is_lookup: false,
            is_resubmission,
        };
        is_sent.then_some((target, sending))
    }
}
