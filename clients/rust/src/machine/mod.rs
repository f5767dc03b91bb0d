//! The adapter's machine: events in, effects out. No clock, no I/O, no standard library.
//!
//! PROTOCOL.md has the rules; "rule 5" in a comment is the one with that number. The machine is a
//! function of its events and their instants: it has no timer and no order that depends on a hash.
//! The shell of this crate drives it; a node with a runtime of its own can drive it as well.
//!
//! ```
//! use lean_aggregator_client::machine::{Effect, Event, Gates, Machine, Priority, SkipReason};
//!
//! let mut machine: Machine<Vec<u8>> = Machine::new(1, false);
//! let ask = Event::Ask { slot: 7, gates: Gates::OPEN, latch: Priority::Aggregation.into(), may_replace: false };
//! assert_eq!(machine.handle(ask, 0), [Effect::Go]);
//! machine.handle(Event::Disconnected { endpoint: 0, is_silent: true }, 5);
//! let ask = Event::Ask { slot: 7, gates: Gates::OPEN, latch: Priority::Aggregation.into(), may_replace: false };
//! let unreachable = Effect::Skip { request_id: None, reason: SkipReason::Unreachable };
//! assert_eq!(machine.handle(ask, 9), [unreachable]);
//! ```

pub mod candidate;
mod effect;
mod endpoints;
mod event;
mod outcomes;
mod places;
mod request;
mod results;
mod time;
mod tries;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

pub use effect::{AwaitedRequest, Effect, GroupResult, Send};
pub use event::{
    AwaitedState, EndpointIndex, Event, Fence, Gates, GroupRef, Latch, Millis, Priority, ProofKind,
    RequestId, ServiceState, SkipReason, Submission, WireOutcome,
};
use request::Request;
use results::Results;

/// How the result stream of an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    /// Never up yet, or broken, and no attempt has failed since.
    Connecting,
    Up,
    /// The last attempt to open the stream failed, or the stream was silent.
    Down,
}

#[derive(Clone, Debug)]
struct Endpoint {
    link: Link,
    state: ServiceState,
    /// From the last `opened`.
    service_id: Option<Arc<str>>,
    is_balanced: bool,
}

impl Endpoint {
    fn is_ready(&self) -> bool {
        self.link == Link::Up && self.state == ServiceState::Ready
    }
}

/// Limits on what the machine keeps (rule 11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Results that wait to be taken.
    pub results_max: usize,
    /// Frozen bytes of all requests.
    pub bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            results_max: 4096,
            bytes_max: 64 << 20,
        }
    }
}

/// The state of the adapter. `P` is what an outcome carries; the machine never looks into it.
#[derive(Clone, Debug)]
pub struct Machine<P> {
    endpoints: Vec<Endpoint>,
    /// By order of submission.
    requests: BTreeMap<u64, Request>,
    numbers: BTreeMap<RequestId, u64>,
    /// The requests that hold the latches.
    latches: BTreeMap<Latch, RequestId>,
    results: Results<P>,
    /// The slot that the node last named.
    slot: Option<u64>,
    is_closing: bool,
    is_closed: bool,
    bytes_max: usize,
    next_number: u64,
    next_place: u64,
}

impl<P: Clone> Machine<P> {
    /// The first state: nothing in flight, no endpoint reached yet.
    ///
    /// `endpoints` is their number. With `has_verify_hook`, each proof that is no duplicate is
    /// asked for by `Effect::Verify`, and is a result only after `Event::Verified`.
    pub fn new(endpoints: usize, has_verify_hook: bool) -> Self {
        Machine::with_limits(endpoints, has_verify_hook, Limits::default())
    }

    /// As `new`, with other limits than those of PROTOCOL.md.
    pub fn with_limits(endpoints: usize, has_verify_hook: bool, limits: Limits) -> Self {
        let endpoint = Endpoint {
            link: Link::Connecting,
            state: ServiceState::Ready,
            service_id: None,
            is_balanced: false,
        };
        Machine {
            endpoints: vec![endpoint; endpoints],
            requests: BTreeMap::new(),
            numbers: BTreeMap::new(),
            latches: BTreeMap::new(),
            results: Results::new(has_verify_hook, limits.results_max),
            slot: None,
            is_closing: false,
            is_closed: false,
            bytes_max: limits.bytes_max,
            next_number: 0,
            next_place: 0,
        }
    }

    /// Handles one event at an instant. Returns the effects, to be carried out in order.
    ///
    /// An event that names an unknown endpoint, request or group is ignored.
    pub fn handle(&mut self, event: Event<P>, now_ms: Millis) -> Vec<Effect<P>> {
        let mut effects = Vec::new();
        let answer = Answer::to(&event);
        self.apply(event, now_ms, &mut effects);
        self.place_homeless(now_ms, &mut effects);
        self.expire(now_ms, &mut effects);
        self.forget_over(now_ms, &mut effects);
        self.answer(answer, now_ms, &mut effects);
        effects
    }

    /// Whether every group has ended and no verification runs. A node that closes waits for it.
    pub fn is_idle(&self) -> bool {
        self.results.is_verifying_none() && self.requests.values().all(Request::is_ended)
    }

    /// Whether the request is submitted and not over. A request that is known may have lost its
    /// bytes already (rule 11).
    pub fn knows(&self, request_id: &str) -> bool {
        self.numbers.contains_key(request_id)
    }

    /// The submissions that have an unended group, oldest first.
    pub fn in_flight(&self) -> impl Iterator<Item = &Submission> {
        self.requests
            .values()
            .filter(|request| !request.is_ended())
            .map(|request| &request.submission)
    }

    /// The groups of a request that have not ended; empty for an unknown request.
    pub fn unended_groups(&self, request_id: &str) -> Vec<usize> {
        let number = self.numbers.get(request_id);
        let request = number.and_then(|number| self.requests.get(number));
        request.map(Request::unended).unwrap_or_default()
    }

    /// Number of results that can be taken at this instant.
    pub fn results_ready(&self, now_ms: Millis) -> usize {
        self.results.ready_count(now_ms)
    }

    /// The next instant at which a result that waits is held back no longer.
    pub fn next_hold_ms(&self, now_ms: Millis) -> Option<Millis> {
        self.results.next_hold_ms(now_ms)
    }

    /// Whether a submission could be sent somewhere now (rule 2).
    pub fn is_reachable(&self) -> bool {
        self.target(None).is_some()
    }

    fn apply(&mut self, event: Event<P>, now_ms: Millis, effects: &mut Vec<Effect<P>>) {
        self.results.forget_past(now_ms, self.slot);
        match event {
            Event::Ask { slot, .. } | Event::Take { slot, .. } => self.slot = Some(slot),
            Event::Submitted(submission) => self.submit(submission, now_ms, effects),
            Event::Accepted {
                request_id,
                endpoint,
                service_id,
                fence_at_ms,
            } => self.accept(
                &request_id,
                endpoint,
                service_id,
                fence_at_ms,
                now_ms,
                effects,
            ),
            Event::Refused {
                request_id,
                endpoint,
                reason,
            } => self.refuse(&request_id, endpoint, reason, now_ms, effects),
            Event::Failed {
                request_id,
                endpoint,
                is_timeout,
            } => self.fail(&request_id, endpoint, is_timeout, now_ms, effects),
            Event::Opened {
                endpoint,
                service_id,
                state,
                awaited,
            } => self.open(endpoint, service_id, state, &awaited, now_ms, effects),
            Event::Status { endpoint, state } => self.set_state(endpoint, state),
            Event::Disconnected {
                endpoint,
                is_silent,
            } => self.disconnect(endpoint, is_silent),
            Event::Outcome(outcome) => self.outcome(outcome, now_ms, effects),
            Event::Summary {
                endpoint,
                request_id,
                duration_ms,
            } => self.summary(endpoint, &request_id, duration_ms, now_ms, effects),
            Event::Verified { group, is_valid } => {
                self.results.verified(&group, is_valid, effects);
            }
            Event::Cancel { request_id, groups } => {
                self.cancel(&request_id, groups.as_deref(), effects);
            }
            Event::Closing => self.is_closing = true,
            Event::Closed => self.close(effects),
            Event::Tick | Event::Opening { .. } => {}
        }
    }

    fn answer(&mut self, answer: Answer, now_ms: Millis, effects: &mut Vec<Effect<P>>) {
        match answer {
            Answer::Nothing => {}
            Answer::Results { requests, max } => {
                self.results.take(requests.as_deref(), max, now_ms, effects);
            }
            Answer::Await(endpoint) => {
                if endpoint < self.endpoints.len() {
                    effects.push(self.awaited(endpoint));
                }
            }
            Answer::Gate {
                gates,
                latch,
                may_replace,
            } => effects.push(match self.gate(gates, latch, may_replace) {
                None => Effect::Go,
                Some(reason) => Effect::Skip {
                    request_id: None,
                    reason,
                },
            }),
        }
    }

    /// Rule 1: why a submission is not made now. `None`: it may be made.
    fn gate(&self, gates: Gates, latch: Latch, may_replace: bool) -> Option<SkipReason> {
        if !gates.is_aggregator {
            return Some(SkipReason::NotAggregator);
        }
        if gates.is_synced == Some(false) {
            return Some(SkipReason::NotSynced);
        }
        if !gates.has_state {
            return Some(SkipReason::MissingState);
        }
        if gates.is_paused {
            return Some(SkipReason::Paused);
        }
        if !may_replace && self.latches.contains_key(&latch) {
            return Some(SkipReason::InFlight);
        }
        if self.is_closing {
            return Some(SkipReason::Draining);
        }
        if self.target(None).is_none() {
            return Some(SkipReason::Unreachable);
        }
        None
    }

    /// Rule 2: the endpoint to which a submission goes.
    fn target(&self, request: Option<&Request>) -> Option<EndpointIndex> {
        let first = |is_fit: fn(&Endpoint) -> bool| {
            self.endpoints.iter().enumerate().position(|(index, each)| {
                is_fit(each) && request.is_none_or(|request| request.is_open_to(index))
            })
        };
        first(Endpoint::is_ready)
            .or_else(|| first(|each| each.link == Link::Up))
            .or_else(|| first(|each| each.link == Link::Connecting))
    }

    /// Whether the request's fence has passed; one that has passed stays so.
    fn is_fenced(&self, request: &Request, now_ms: Millis) -> bool {
        request.fenced_at_ms.is_some() || is_past(request.submission.fence, now_ms, self.slot)
    }

    fn is_up(&self, endpoint: EndpointIndex) -> bool {
        self.endpoints[endpoint].link == Link::Up
    }

    fn is_down(&self, endpoint: EndpointIndex) -> bool {
        self.endpoints[endpoint].link == Link::Down
    }

    fn free_latch(&mut self, request_id: &RequestId) {
        self.latches.retain(|_, holder| holder != request_id);
    }
}

/// Whether the fence has passed, by the clock or by the node's slot.
fn is_past(fence: Fence, now_ms: Millis, slot: Option<u64>) -> bool {
    now_ms >= fence.at_ms
        || fence
            .slot
            .is_some_and(|fence_slot| slot.is_some_and(|slot| slot >= fence_slot))
}

/// What step five does for an event.
enum Answer {
    Nothing,
    Results {
        requests: Option<Vec<RequestId>>,
        max: Option<usize>,
    },
    Await(EndpointIndex),
    Gate {
        gates: Gates,
        latch: Latch,
        may_replace: bool,
    },
}

impl Answer {
    fn to<P>(event: &Event<P>) -> Answer {
        match event {
            Event::Ask {
                gates,
                latch,
                may_replace,
                ..
            } => Answer::Gate {
                gates: *gates,
                latch: *latch,
                may_replace: *may_replace,
            },
            Event::Take { requests, max, .. } => Answer::Results {
                requests: requests.clone(),
                max: *max,
            },
            Event::Opening { endpoint } => Answer::Await(*endpoint),
            _ => Answer::Nothing,
        }
    }
}
