//! Rules 2 and 7: result streams, and what they name.

use alloc::vec::Vec;

use super::effect::AwaitedRequest;
use super::event::{EndpointIndex, ServiceState};
use super::{Effect, Link, Machine};

/// Limit on the requests that a stream names; the service refuses more.
const AWAITED_MAX: usize = 64;

impl<P: Clone> Machine<P> {
    /// Notes what a service has said of itself. It counts only while its endpoint is up.
    pub(super) fn set_state(&mut self, endpoint: EndpointIndex, state: ServiceState) {
        if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
            if endpoint.link == Link::Up {
                endpoint.state = state;
            }
        }
    }

    pub(super) fn disconnect(&mut self, endpoint: EndpointIndex, is_silent: bool) {
        if let Some(endpoint) = self.endpoints.get_mut(endpoint) {
            endpoint.link = match endpoint.link {
                Link::Up if !is_silent => Link::Connecting,
                _ => Link::Down,
            };
        }
    }

    /// What the request of the endpoint's next stream names. Of a try that is open now, the service
    /// may not know yet when it answers that request; a request whose groups have all ended is not named.
    pub(super) fn awaited(&mut self, endpoint: EndpointIndex) -> Effect<P> {
        for request in self.requests.values_mut() {
            let is_crossing = request.awaits_answer(endpoint);
            let is_ended = request.is_ended();
            if let Some(place) = request.places.get_mut(&endpoint) {
                place.is_crossing = is_crossing;
                place.is_unnamed = is_ended && place.held_by.is_some();
            }
        }
        let mut requests: Vec<AwaitedRequest> = self
            .requests
            .values()
            .rev()
            .filter(|request| !request.is_ended())
            .filter_map(|request| {
                let place = request.places.get(&endpoint)?;
                let received = (0..request.ended.len())
                    .filter(|group| request.ended[*group] || place.ended[*group]);
                Some(AwaitedRequest {
                    request_id: request.id().clone(),
                    received_groups: received.collect(),
                })
            })
            .take(AWAITED_MAX)
            .collect();
        requests.reverse();
        Effect::Await { endpoint, requests }
    }
}
