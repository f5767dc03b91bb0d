//! What holds of the machine whatever happens to it.

use std::collections::BTreeSet;

use lean_aggregator_client::machine::{
    AwaitedState, Effect, Event, Fence, Gates, GroupResult, Latch, Machine, Priority, ProofKind,
    ServiceState, SkipReason, Submission, WireOutcome,
};
use proptest::prelude::*;

const ENDPOINTS: usize = 3;
const REQUESTS: u8 = 6;
const GROUPS: usize = 3;
const FENCE_MS: u64 = 8000;
/// Later than every fence and every wait of a run.
const END_MS: u64 = 10_000_000;

type Step = (u16, Event<(bool, usize)>);

fn name(request: u8) -> std::sync::Arc<str> {
    format!("r{request}").into()
}

fn event() -> impl Strategy<Value = Event<(bool, usize)>> {
    let request = 0..REQUESTS;
    let endpoint = 0..ENDPOINTS;
    let priority = prop_oneof![
        Just(Priority::Proposal),
        Just(Priority::Aggregation),
        Just(Priority::Backlog)
    ];
    let kind = prop_oneof![Just(ProofKind::Aggregate), Just(ProofKind::Merge)];
    let latch = (priority, kind).prop_map(|(priority, proof_kind)| Latch {
        priority,
        proof_kind,
    });
    let state = prop_oneof![
        4 => Just(ServiceState::Ready),
        1 => Just(ServiceState::NoProver),
        1 => Just(ServiceState::Draining)
    ];
    let reason = prop_oneof![
        Just(SkipReason::Draining),
        Just(SkipReason::NoProver),
        Just(SkipReason::InFlight),
        Just(SkipReason::PredictedMiss)
    ];
    let service = prop_oneof![4 => Just("s1"), 1 => Just("s2")];
    let submitted = (request.clone(), latch.clone(), 0..3u64, any::<bool>());
    let accepted = (request.clone(), endpoint.clone(), service.clone());
    let opened = (
        endpoint.clone(),
        service,
        state.clone(),
        prop::collection::vec(any::<bool>(), usize::from(REQUESTS)),
    );
    let outcome = (
        request.clone(),
        endpoint.clone(),
        0..GROUPS + 1,
        any::<(bool, bool, bool, bool)>(),
        1..8u8,
    );
    prop_oneof![
        2 => (latch, any::<bool>()).prop_map(|(latch, may_replace)| Event::Ask {
            slot: 0, gates: Gates::OPEN, latch, may_replace
        }),
        4 => submitted.prop_map(|(request, latch, slot, is_held)| Event::Submitted(Submission {
            request_id: name(request),
            latch,
            slot,
            groups: GROUPS,
            bytes: 30 << 20,
            deadline_at_ms: 750,
            fence: Fence { at_ms: FENCE_MS, slot: None },
            hold_until_ms: if is_held { 2000 } else { 0 },
        })),
        4 => accepted.prop_map(|(request, endpoint, service)| Event::Accepted {
            request_id: name(request), endpoint, service_id: service.into(), fence_at_ms: FENCE_MS
        }),
        2 => (request.clone(), endpoint.clone(), reason).prop_map(
            |(request, endpoint, reason)| Event::Refused {
                request_id: name(request), endpoint, reason
            }),
        2 => (request.clone(), endpoint.clone(), any::<bool>()).prop_map(
            |(request, endpoint, is_timeout)| Event::Failed {
                request_id: name(request), endpoint, is_timeout
            }),
        3 => opened.prop_map(|(endpoint, service, state, known)| Event::Opened {
            endpoint,
            service_id: service.into(),
            state,
            awaited: (0u8..).zip(known).map(|(request, is_known)| AwaitedState {
                request_id: name(request), is_known
            }).collect(),
        }),
        1 => (endpoint.clone(), state).prop_map(
            |(endpoint, state)| Event::Status { endpoint, state }),
        2 => (endpoint.clone(), any::<bool>()).prop_map(
            |(endpoint, is_silent)| Event::Disconnected { endpoint, is_silent }),
        6 => outcome.prop_map(|(request, endpoint, group_index, is, bits)| {
            Event::Outcome(WireOutcome {
                endpoint,
                request_id: name(request),
                group_index,
                message: vec![group_index as u8],
                is_proof: is.0,
                is_late: is.1,
                is_erased: is.2 && is.3,
                is_drained: is.3 && !is.0,
                participants: vec![bits],
                payload: (is.0, group_index),
            })
        }),
        2 => (request.clone(), endpoint.clone()).prop_map(|(request, endpoint)| Event::Summary {
            endpoint, request_id: name(request), duration_ms: 1
        }),
        1 => request.prop_map(|request| Event::Cancel {
            request_id: name(request), groups: Some(vec![0, 2])
        }),
        2 => prop::option::of(0..3usize).prop_map(take),
        1 => Just(Event::Tick),
        1 => endpoint.prop_map(|endpoint| Event::Opening { endpoint }),
    ]
}

fn take(max: Option<usize>) -> Event<(bool, usize)> {
    Event::Take {
        slot: 0,
        requests: None,
        max,
    }
}

/// What a run has shown so far.
#[derive(Default)]
struct Seen {
    submitted: BTreeSet<String>,
    skipped: BTreeSet<String>,
    /// Groups that have ended, by request.
    ended: BTreeSet<(String, usize)>,
}

impl Seen {
    fn end(&mut self, request: &str, group: usize) {
        let is_new = self.ended.insert((request.into(), group));
        assert!(is_new, "group {group} of {request} ended twice");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 400 }))]

    #[test]
    fn each_group_ends_once_and_nothing_leaks(
        has_verify_hook in any::<bool>(),
        steps in prop::collection::vec((0u16..400, event()), 1..120),
    ) {
        run(has_verify_hook, steps);
    }
}

fn run(has_verify_hook: bool, steps: Vec<Step>) {
    let mut machine: Machine<(bool, usize)> = Machine::new(ENDPOINTS, has_verify_hook);
    let mut seen = Seen::default();
    let mut now_ms = 0;
    for (wait_ms, event) in steps {
        now_ms += u64::from(wait_ms);
        // A request id is used once: an adapter never repeats one.
        if let Event::Submitted(submission) = &event {
            if !seen.submitted.insert(submission.request_id.to_string()) {
                continue;
            }
        }
        handle(&mut machine, &mut seen, event, now_ms);
    }
    handle(&mut machine, &mut seen, Event::Closed, now_ms);
    handle(&mut machine, &mut seen, take(None), END_MS);
    assert!(machine.is_idle());
    assert_eq!(machine.in_flight().count(), 0);
    assert_eq!(machine.results_ready(END_MS), 0);
    for id in seen.submitted.difference(&seen.skipped) {
        for group in 0..GROUPS {
            assert!(
                seen.ended.contains(&(id.clone(), group)),
                "{id}: {group} never ended"
            );
        }
    }
}

fn handle(
    machine: &mut Machine<(bool, usize)>,
    seen: &mut Seen,
    event: Event<(bool, usize)>,
    now_ms: u64,
) {
    let mut verifications = Vec::new();
    for effect in machine.handle(event, now_ms) {
        match effect {
            Effect::Skip {
                request_id: Some(id),
                ..
            } => {
                assert!(
                    seen.skipped.insert(id.to_string()),
                    "{id} was skipped twice"
                );
                assert!(
                    machine.unended_groups(&id).is_empty(),
                    "{id} is still there"
                );
            }
            Effect::Send(send) => {
                assert!(now_ms < FENCE_MS, "sent past the fence");
                assert!(seen.submitted.contains(&*send.request_id));
            }
            Effect::Deliver(result) => {
                if let GroupResult::Outcome(group, (is_proof, index)) = &result {
                    assert_eq!(*index, group.group_index);
                    assert!(!is_proof || now_ms < FENCE_MS, "delivered past the fence");
                }
                seen.end(&result.group().request_id, result.group().group_index);
            }
            Effect::Fenced(group) | Effect::Dropped(group) => {
                seen.end(&group.request_id, group.group_index);
            }
            Effect::Verify { group, .. } => verifications.push(group),
            Effect::Await { requests, .. } => assert!(requests.len() <= 64),
            _ => {}
        }
    }
    for (index, group) in verifications.into_iter().enumerate() {
        let is_valid = index % 2 == 0;
        handle(machine, seen, Event::Verified { group, is_valid }, now_ms);
    }
}

fn opened() -> Event<u8> {
    Event::Opened {
        endpoint: 0,
        service_id: "s".into(),
        state: ServiceState::Ready,
        awaited: Vec::new(),
    }
}

fn submitted(request_id: &str, groups: usize, hold_until_ms: u64) -> Event<u8> {
    Event::Submitted(Submission {
        request_id: request_id.into(),
        latch: Priority::Aggregation.into(),
        slot: 1,
        groups,
        bytes: 1,
        deadline_at_ms: 750,
        fence: Fence {
            at_ms: FENCE_MS,
            slot: Some(3),
        },
        hold_until_ms,
    })
}

fn proof(request_id: &str, group_index: usize) -> Event<u8> {
    Event::Outcome(WireOutcome {
        endpoint: 0,
        request_id: request_id.into(),
        group_index,
        message: vec![1],
        is_proof: true,
        is_late: false,
        is_erased: false,
        is_drained: false,
        participants: vec![1 << group_index],
        payload: 7,
    })
}

/// A machine that has had a proof for its only request.
fn proved(has_verify_hook: bool) -> Machine<u8> {
    let mut machine: Machine<u8> = Machine::new(1, has_verify_hook);
    machine.handle(opened(), 0);
    machine.handle(submitted("r", 1, 0), 0);
    machine.handle(proof("r", 0), 10);
    machine
}

#[test]
fn the_shells_questions_have_their_answers() {
    assert_eq!(SkipReason::InFlight.to_string(), "in_flight");
    let mut machine: Machine<u8> = Machine::new(1, false);
    assert!(machine.is_reachable(), "connecting");
    let is_silent = true;
    let endpoint = 0;
    let disconnected = Event::Disconnected {
        endpoint,
        is_silent,
    };
    machine.handle(disconnected, 0);
    assert!(!machine.is_reachable(), "down");
    machine.handle(opened(), 0);
    assert!(machine.is_reachable(), "up");

    machine.handle(submitted("r1", 2, 0), 0);
    machine.handle(submitted("r2", 1, 900), 0);
    machine.handle(submitted("r3", 1, 400), 0);
    let in_flight = |machine: &Machine<u8>| -> Vec<String> {
        let submissions = machine.in_flight();
        submissions
            .map(|each| each.request_id.to_string())
            .collect()
    };
    assert_eq!(in_flight(&machine), ["r1", "r2", "r3"]);
    assert_eq!(machine.unended_groups("r1"), [0, 1]);
    assert_eq!(machine.unended_groups("r9"), []);
    assert_eq!(machine.results_ready(10), 0);

    machine.handle(proof("r1", 0), 10);
    assert_eq!(machine.unended_groups("r1"), [1]);
    assert_eq!(machine.results_ready(10), 1);
    assert_eq!(machine.next_hold_ms(10), None);
    machine.handle(proof("r1", 1), 20);
    machine.handle(proof("r2", 0), 20);
    machine.handle(proof("r3", 0), 20);
    assert_eq!(in_flight(&machine), [""; 0]);
    assert_eq!(machine.results_ready(20), 2);
    assert_eq!(machine.next_hold_ms(20), Some(400));
    assert_eq!(machine.results_ready(400), 3);
    assert_eq!(machine.next_hold_ms(400), Some(900));
    assert_eq!(machine.next_hold_ms(900), None);
}

#[test]
fn a_proof_past_its_fence_is_never_delivered() {
    let mut machine = proved(false);
    let take = Event::Take {
        slot: 3,
        requests: None,
        max: None,
    };
    let effects = machine.handle(take, 20);
    assert!(matches!(effects[..], [Effect::Fenced(_)]), "{effects:?}");
}

#[test]
fn a_machine_that_waits_for_a_verification_is_not_idle() {
    let mut machine = proved(true);
    assert!(!machine.is_idle());
    let group = lean_aggregator_client::machine::GroupRef {
        request_id: "r".into(),
        group_index: 0,
        slot: 1,
        endpoint: Some(0),
    };
    let is_valid = true;
    machine.handle(Event::Verified { group, is_valid }, 20);
    assert!(machine.is_idle());
}

#[test]
fn a_stream_of_an_unknown_endpoint_has_no_answer() {
    let mut machine = proved(false);
    assert_eq!(machine.handle(Event::Opening { endpoint: 1 }, 20), []);
}
