//! The machine under its lock, and what its effects do: some here, the rest on the runtime thread.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, Notify};

use super::body::Body;
use super::clock::Clock;
use super::encode::{FrozenStep, Header};
use super::hooks::Hooks;
use super::metrics::{Count, Metrics};
use super::options::{Ending, Problem, Skip, TickResult, Unreachable};
use super::ownerless::Ownerless;
use crate::machine::{
    AwaitedRequest, Effect, EndpointIndex, Event, GroupRef, GroupResult, Machine, Millis,
    RequestId, Send, SkipReason,
};
use crate::proto;

/// What an outcome carries through the machine.
pub(super) type Payload = Arc<proto::Outcome>;

/// What the runtime thread does, in order.
pub(super) enum Command {
    Send(Send),
    Cancel {
        endpoint: EndpointIndex,
        request_id: RequestId,
        groups: Vec<usize>,
    },
    Verify {
        group: GroupRef,
        outcome: Payload,
    },
    /// The request is over: ends its try, so that no service admits it any more.
    End(RequestId),
    /// The last command: waits for the cancels, ends everything, answers.
    Flush(std::sync::mpsc::Sender<()>),
}

/// What the shell knows of a submission.
pub(super) struct Frozen {
    /// Empty once the machine has given them up (rule 11); the request may still be known.
    pub bytes: Bytes,
    pub steps: Vec<FrozenStep>,
    /// What the votes of each group say.
    pub data: Vec<Option<proto::AttestationData>>,
    pub is_ssz: bool,
    pub slot: u64,
    /// The header of that name, which goes with each try.
    pub traceparent: Option<String>,
    /// No try has left yet.
    pub is_first_try: bool,
    /// Its last refusal was for what is not in it.
    pub may_pass: bool,
}

pub(super) struct State {
    pub machine: Machine<Payload>,
    /// Of each request that the machine knows.
    pub frozen: BTreeMap<RequestId, Frozen>,
    /// Told in the node's next tick.
    unreachable: Vec<Unreachable>,
    /// Results that can be taken and for which the node was woken.
    told_results: usize,
}

pub(super) struct Shared {
    pub clock: Clock,
    pub header: Header,
    pub names: Vec<Arc<str>>,
    pub hooks: Hooks,
    pub metrics: Metrics,
    pub ready: Arc<Notify>,
    state: Mutex<State>,
    bodies: Mutex<Vec<Weak<Body>>>,
    ownerless: Ownerless,
    idle: Condvar,
    commands: mpsc::UnboundedSender<Command>,
}

/// What an event gave that its caller wants.
#[derive(Default)]
pub(super) struct Answer {
    pub skip: Option<SkipReason>,
    pub results: Vec<TickResult>,
    pub awaited: Vec<AwaitedRequest>,
}

impl Shared {
    pub fn new(
        header: Header,
        names: Vec<Arc<str>>,
        hooks: Hooks,
        metrics: Metrics,
        commands: mpsc::UnboundedSender<Command>,
    ) -> Self {
        let machine = Machine::new(names.len(), hooks.verify.is_some());
        Shared {
            clock: Clock::start(),
            header,
            names,
            hooks,
            metrics,
            ready: Arc::new(Notify::new()),
            state: Mutex::new(State {
                machine,
                frozen: BTreeMap::new(),
                unreachable: Vec::new(),
                told_results: 0,
            }),
            bodies: Mutex::default(),
            ownerless: Ownerless::default(),
            idle: Condvar::new(),
            commands,
        }
    }

    /// The lock is held for computing only, never across a call or a closure of the node.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn command(&self, command: Command) {
        // Fails only when the runtime thread has ended, after which nothing is sent.
        let _ = self.commands.send(command);
    }

    /// Passes one event to the machine, and carries out what it returns.
    pub fn handle(&self, event: Event<Payload>) -> Answer {
        self.handle_with(event, |_| {})
    }

    /// As `handle`; `prepare` runs before the event, under the same lock.
    pub fn handle_with(&self, event: Event<Payload>, prepare: impl FnOnce(&mut State)) -> Answer {
        let mut answer = Answer::default();
        let mut told = Vec::new();
        let is_ready = {
            let mut state = self.state();
            prepare(&mut state);
            let now_ms = self.clock.now_ms();
            for effect in state.machine.handle(event, now_ms) {
                self.carry_out(effect, &mut state, &mut answer, &mut told);
            }
            self.drop_over(&mut state);
            if state.machine.is_idle() {
                self.idle.notify_all();
            }
            let waiting = state.machine.results_ready(self.clock.now_ms());
            let is_ready = waiting > state.told_results;
            state.told_results = waiting;
            is_ready
        };
        for tell in told {
            self.tell(tell);
        }
        if is_ready {
            self.ready.notify_one();
            self.hooks.ready();
        }
        answer
    }

    /// Notes that the refusal of a request that follows is for what is not in it.
    pub fn note_may_pass(&self, request_id: &RequestId) {
        if let Some(frozen) = self.state().frozen.get_mut(request_id) {
            frozen.may_pass = true;
        }
    }

    /// Takes results, of these requests and at most so many. Passes a body its own, and returns the
    /// others.
    pub fn take(
        &self,
        slot: u64,
        requests: Option<Vec<RequestId>>,
        max: Option<usize>,
    ) -> Vec<TickResult> {
        let take = Event::Take {
            slot,
            requests,
            max,
        };
        let mut results = self.handle(take).results;
        results.retain(|result| {
            let is_of_body = self.any_body(|body| body.absorb(slot, result));
            !is_of_body && !self.ownerless.end(&result.request_id)
        });
        results
    }

    pub fn add_body(&self, body: &Arc<Body>) {
        let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        bodies.retain(|each| each.strong_count() > 0);
        bodies.push(Arc::downgrade(body));
    }

    fn bodies(&self) -> Vec<Arc<Body>> {
        let bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        bodies.iter().filter_map(Weak::upgrade).collect()
    }

    /// Cancels the requests of a body that is gone, whose ends nobody wants.
    pub fn disown(&self, requests: VecDeque<RequestId>) {
        for request_id in &requests {
            self.ownerless.add(request_id.clone());
        }
        for request_id in requests {
            let groups = None;
            self.handle(Event::Cancel { request_id, groups });
        }
    }

    /// `is_of` may call the node's closures and the adapter: no lock is held meanwhile.
    fn any_body(&self, is_of: impl FnMut(Arc<Body>) -> bool) -> bool {
        self.bodies().into_iter().any(is_of)
    }

    /// Says in the tick that no service can be reached.
    pub fn tell_skip_reason(&self, slot: u64, skip: &Skip) {
        if skip.reason == SkipReason::Unreachable {
            let request_id = skip.request_id.clone();
            self.hooks.unreachable(&Unreachable { slot, request_id });
        }
    }

    /// Reports requests that no service answered to the node. Called in the node's tick.
    pub fn tell_unreachable(&self) {
        let unreachable = std::mem::take(&mut self.state().unreachable);
        for each in &unreachable {
            self.hooks.unreachable(each);
        }
    }

    /// Waits until every group has ended and no verification runs, at most for `limit`.
    pub fn wait_idle(&self, limit: Duration) {
        // None: later than any instant, so there is no limit.
        let end = Instant::now().checked_add(limit);
        let mut state = self.state();
        while !state.machine.is_idle() {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            state = match left {
                Some(Duration::ZERO) => return,
                Some(left) => {
                    let waited = self.idle.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.idle.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Drops what is kept of requests that are over, and ends their tries.
    fn drop_over(&self, state: &mut State) {
        let State {
            machine, frozen, ..
        } = state;
        frozen.retain(|request_id, _| {
            let is_known = machine.knows(request_id);
            if !is_known {
                self.command(Command::End(request_id.clone()));
            }
            is_known
        });
    }

    fn carry_out(
        &self,
        effect: Effect<Payload>,
        state: &mut State,
        answer: &mut Answer,
        told: &mut Vec<Tell>,
    ) {
        if let Effect::Deliver(_) | Effect::Fenced(_) | Effect::Dropped(_) = &effect {
            // It waits no longer. One that never waited wakes the node once too often, and no more.
            state.told_results = state.told_results.saturating_sub(1);
        }
        match effect {
            Effect::Go => {}
            Effect::Skip { request_id, reason } => {
                self.metrics.skip(reason);
                match request_id {
                    None => answer.skip = Some(reason),
                    Some(request_id) => told.push(skipped_later(request_id, reason, state)),
                }
            }
            Effect::Send(send) => {
                if send.is_resubmission {
                    self.metrics.count(Count::Resubmitted);
                }
                self.command(Command::Send(send));
            }
            Effect::Cancel {
                endpoint,
                request_id,
                groups,
            } => self.command(Command::Cancel {
                endpoint,
                request_id,
                groups,
            }),
            Effect::Forget { request_id } => {
                if let Some(frozen) = state.frozen.get_mut(&request_id) {
                    frozen.bytes = Bytes::new();
                }
            }
            Effect::Await { requests, .. } => answer.awaited = requests,
            Effect::Verify { group, payload } => self.command(Command::Verify {
                group,
                outcome: payload,
            }),
            Effect::Deliver(result) => {
                if let GroupResult::Outcome(_, outcome) = &result {
                    self.metrics.outcome(outcome);
                }
                answer.results.push(self.tick_result(result));
            }
            Effect::Summarised { duration_ms, .. } => {
                self.metrics.worker_took(Duration::from_millis(duration_ms));
            }
            Effect::Balanced { endpoint } => {
                let endpoint = self.names[endpoint].clone();
                told.push(Tell::Problem(Problem::EndpointIsBalanced { endpoint }));
            }
            Effect::Late(_) => self.metrics.count(Count::Late),
            Effect::Fenced(_) => self.metrics.count(Count::Fenced),
            Effect::Lost(_) => self.metrics.count(Count::Lost),
            Effect::Dropped(_) => self.metrics.count(Count::Dropped),
        }
    }

    fn tell(&self, tell: Tell) {
        match tell {
            Tell::Skip { skip, may_pass }
                if self.any_body(|body| body.skipped(&skip, may_pass)) => {}
            Tell::Skip { skip, .. } if self.is_ownerless(&skip) => {}
            Tell::Skip { skip, .. } => {
                tracing::info!(
                    target: "lean_aggregator",
                    request_id = skip.request_id.as_deref(),
                    reason = skip.reason.name(),
                    "snapshot skipped"
                );
                self.hooks.skip(&skip);
            }
            Tell::Problem(problem) => self.hooks.problem(problem),
        }
    }

    fn is_ownerless(&self, skip: &Skip) -> bool {
        let request_id = skip.request_id.as_deref();
        request_id.is_some_and(|request_id| self.ownerless.end(request_id))
    }

    fn tick_result(&self, result: GroupResult<Payload>) -> TickResult {
        let (group, ending) = match result {
            GroupResult::Outcome(group, outcome) => (group, Ending::Outcome(outcome)),
            GroupResult::Duplicate(group) => (group, Ending::Duplicate),
            GroupResult::Refused(group) => (group, Ending::Refused),
            GroupResult::Cancelled(group) => (group, Ending::Cancelled),
            GroupResult::Lost(group) => (group, Ending::Lost),
        };
        TickResult {
            request_id: group.request_id,
            group_index: group.group_index,
            slot: group.slot,
            endpoint: group.endpoint.map(|index| self.names[index].clone()),
            ending,
        }
    }

    /// When the node is woken for a result that is held back until then.
    pub fn next_hold_ms(&self) -> Option<Millis> {
        self.state().machine.next_hold_ms(self.clock.now_ms())
    }
}

fn skipped_later(request_id: RequestId, reason: SkipReason, state: &mut State) -> Tell {
    let frozen = state.frozen.get(&request_id);
    let may_pass = frozen.is_some_and(|frozen| frozen.may_pass);
    if reason == SkipReason::Unreachable {
        let slot = frozen.map_or(0, |frozen| frozen.slot);
        let request_id = Some(request_id.clone());
        state.unreachable.push(Unreachable { slot, request_id });
    }
    let skip = Skip {
        request_id: Some(request_id),
        reason,
        detail: String::new(),
    };
    Tell::Skip { skip, may_pass }
}

/// What the node learns after the lock is free.
enum Tell {
    /// `may_pass`: the request was refused for what is not in it.
    Skip {
        skip: Skip,
        may_pass: bool,
    },
    Problem(Problem),
}

#[cfg(test)]
mod tests;
