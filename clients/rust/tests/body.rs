//! The body of a block, built ahead of it, in front of a scripted service.
#![cfg(feature = "client")]

mod support;

use std::sync::{mpsc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lean_aggregator_client::machine::{Gates, Priority, RequestId, SkipReason};
use lean_aggregator_client::slot::SlotTimes;
use lean_aggregator_client::{
    proto, Aggregator, BodyCandidate, BodyComponent, BodyOffer, BodyOptions, Component, Ending,
    FinishedBody, Merge, MergeOptions, Message, Signers,
};
use proto::stream_results_response::Event;
use proto::submit_snapshot_response::Result as Answer;
use support::scripted::Scripted;
use tonic::{Code, Status};

const SLOT: u64 = 5;
const BLOCK_SLOT: u64 = 12;
const PARENT: [u8; 1] = [9];

/// A service, an adapter in slot 5, and a candidate of at most three components.
struct World {
    service: Scripted,
    adapter: Aggregator,
    body: BodyCandidate,
}

fn world() -> World {
    let mut service = Scripted::new();
    service.start();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let adapter = Aggregator::builder()
        .node_id("node-1")
        .endpoint(service.address.to_string())
        .slot_times(SlotTimes {
            slot_ms: 4000,
            intervals: 5,
            phase_ms: now.as_millis() as i64 - 4000 * SLOT as i64,
        })
        .build()
        .unwrap();
    wait(|| !service.calls().streams.is_empty());
    service.send(Event::Opened(proto::Opened {
        service_id: "s".into(),
        ..Default::default()
    }));
    service.beat();
    let gates = || Gates {
        is_aggregator: false,
        ..Gates::OPEN
    };
    let options = BodyOptions {
        components_max: 3,
        ..BodyOptions::default()
    };
    let body = adapter.grow_body(gates, options).unwrap();
    World {
        service,
        adapter,
        body,
    }
}

fn wait(mut is_true: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < Duration::from_secs(10), "did not come");
        std::thread::yield_now();
    }
}

fn offer(keys: &str, parent: &[u8]) -> BodyOffer {
    let components = keys.chars().map(|key| BodyComponent {
        key: key.into(),
        worth: None,
        component: Component {
            message: Message::Root(
                proto::SignedRoot {
                    root: vec![key as u8; 32].into(),
                    slot: SLOT,
                },
                proto::KeyRole::Attestation,
            ),
            signers: Signers::Proof {
                proof: vec![1].into(),
                participants: vec![7].into(),
                proof_system: None,
            },
        },
    });
    BodyOffer {
        block_slot: BLOCK_SLOT,
        parent: parent.to_vec().into(),
        components: components.collect(),
        ..BodyOffer::default()
    }
}

fn keys(body: Option<&FinishedBody>) -> String {
    let components = body.iter().flat_map(|body| &body.components);
    components.map(|each| each.key.as_str()).collect()
}

impl World {
    /// Offers in each tick until the service has so many submissions, accepts the newest and returns it.
    fn submitted(&self, keys: &str, count: usize) -> proto::SubmitSnapshotRequest {
        let accepted = proto::Accepted {
            fence_ms: 30_000,
            service_id: "s".into(),
            ..Default::default()
        };
        let result = Some(Answer::Accepted(accepted));
        self.answered(keys, count, Ok(proto::SubmitSnapshotResponse { result }))
    }

    /// As `submitted`, with another answer.
    fn answered(
        &self,
        keys: &str,
        count: usize,
        with: Result<proto::SubmitSnapshotResponse, Status>,
    ) -> proto::SubmitSnapshotRequest {
        wait(|| {
            self.tick(keys);
            self.service.calls().submits.len() == count
        });
        let mut calls = self.service.calls();
        let call = calls.submits.last_mut().unwrap();
        let _ = call.answer.take().unwrap().send(with);
        call.request.clone()
    }

    /// A tick of the node, which gets no result of the candidate.
    fn tick(&self, keys: &str) {
        let results = self.adapter.take_results(SLOT);
        assert!(results.is_empty(), "{results:?}");
        self.body.offer(SLOT, offer(keys, &PARENT));
    }

    /// Proves a merge, or ends it with a bad component.
    fn end(&self, request: &proto::SubmitSnapshotRequest, bad: Option<u32>) {
        let Some(index) = bad else {
            return self.finish(request, |_| ());
        };
        self.finish(request, |outcome| {
            outcome.set_status(proto::OutcomeStatus::Rejected);
            outcome.left_out = vec![proto::LeftOut {
                input: Some(proto::left_out::Input::ComponentIndex(index)),
                ..Default::default()
            }];
        });
    }

    /// Ends a merge by a proof, or otherwise.
    fn finish(
        &self,
        request: &proto::SubmitSnapshotRequest,
        otherwise: impl FnOnce(&mut proto::Outcome),
    ) {
        let components = &request.snapshot.as_ref().unwrap().groups[0].components;
        let claims = components.iter().map(|each| each.claim.clone().unwrap());
        let mut outcome = proto::Outcome {
            request_id: request.request_id.clone(),
            claims: claims.collect(),
            proof: vec![components.len() as u8].into(),
            ..Default::default()
        };
        outcome.set_status(proto::OutcomeStatus::Proved);
        outcome.set_verified_by(proto::VerifiedBy::Standby);
        otherwise(&mut outcome);
        self.service.send(Event::Outcome(outcome));
        self.service.send(Event::Summary(proto::Summary {
            request_id: request.request_id.clone(),
            groups: 1,
            ..Default::default()
        }));
    }

    fn grown(&self, offered: &str, wanted: &str) {
        wait(|| {
            self.tick(offered);
            keys(self.body.best().as_ref()) == wanted
        });
    }
}

#[test]
fn it_grows_and_is_taken_with_its_claims() {
    let world = world();
    assert_eq!(world.body.take(BLOCK_SLOT, &PARENT), None);
    for (index, (offered, wanted)) in [("a", "a"), ("ab", "ab"), ("abcd", "abc")]
        .into_iter()
        .enumerate()
    {
        let request = world.submitted(offered, index + 1);
        let (deadline_ms, fence_ms) = (request.deadline_ms.unwrap(), request.fence_ms.unwrap());
        assert!((20_000..=28_000).contains(&deadline_ms));
        assert!((400..=600).contains(&(fence_ms - deadline_ms)));
        world.end(&request, None);
        world.grown(offered, wanted);
    }
    let merges = world.adapter.stats().merges;
    assert_eq!(merges[0], ("proved", 3));
    assert_eq!(merges.iter().map(|(_, count)| count).sum::<u64>(), 3);
    let made = world.body.take(BLOCK_SLOT, &PARENT).unwrap();
    assert_eq!(keys(Some(&made)), "abc");
    assert_eq!((made.claims.len(), &made.proof[..]), (3, &[3][..]));
    assert_eq!(world.body.take(BLOCK_SLOT, &PARENT), None, "twice");
}

#[test]
fn gates_that_block_hold_up_no_other_body() {
    let world = world();
    let (waits, is_waiting) = mpsc::channel();
    let (opens, is_open) = mpsc::channel();
    let hook = Mutex::new((0, waits, is_open));
    // Its second call is made on the adapter's thread, after a skip, for a smaller merge.
    let gates = move || {
        let (calls, waits, is_open) = &mut *hook.lock().unwrap();
        *calls += 1;
        if *calls == 2 {
            waits.send(()).unwrap();
            is_open.recv().unwrap();
        }
        Gates::OPEN
    };
    let adapter = &world.adapter;
    let body = adapter.grow_body(gates, BodyOptions::default()).unwrap();
    body.offer(SLOT, offer("ab", &PARENT));
    wait(|| world.service.calls().submits.len() == 1);
    let answer = world.service.calls().submits[0].answer.take().unwrap();
    let skipped = proto::Skipped {
        reason: proto::SkipReason::PredictedMiss.into(),
        ..Default::default()
    };
    let result = Some(Answer::Skipped(skipped));
    let _ = answer.send(Ok(proto::SubmitSnapshotResponse { result }));
    is_waiting.recv_timeout(Duration::from_secs(10)).unwrap();
    std::thread::scope(|scope| {
        let (grown, is_grown) = mpsc::channel();
        scope.spawn(move || {
            let other = adapter.grow_body(|| Gates::OPEN, BodyOptions::default());
            let _ = grown.send(other.is_ok());
        });
        let is_grown = is_grown.recv_timeout(Duration::from_secs(2));
        opens.send(()).unwrap();
        assert_eq!(is_grown, Ok(true));
    });
    wait(|| world.service.calls().submits.len() == 2);
}

#[test]
fn a_fuller_merge_replaces_one_that_waits() {
    let world = world();
    let first = world.submitted("a", 1);
    let fuller = world.submitted("ab", 2);
    assert_eq!(fuller.busy_policy(), proto::BusyPolicy::Replace);
    world.finish(&first, |outcome| {
        outcome.set_status(proto::OutcomeStatus::NotStarted);
        outcome.set_reason(proto::OutcomeReason::Superseded);
    });
    world.end(&fuller, None);
    world.grown("ab", "ab");
    assert_eq!(world.service.calls().submits.len(), 2);
}

#[test]
fn what_is_refused_for_what_is_not_in_it_is_tried_once_more() {
    for code in [
        Code::Unauthenticated,
        Code::Unimplemented,
        Code::FailedPrecondition,
    ] {
        let world = world();
        world.answered("a", 1, Err(Status::new(code, "refused")));
        world.end(&world.submitted("a", 2), None);
        world.grown("a", "a");
    }
}

#[test]
fn what_is_refused_as_invalid_is_given_up() {
    let world = world();
    world.answered("a", 1, Err(Status::invalid_argument("refused")));
    wait(|| {
        world.tick("a");
        let skipped = world.adapter.stats().skipped;
        skipped.contains(&(SkipReason::Invalid, 1))
    });
    for _ in 0..50 {
        world.tick("a");
        std::thread::sleep(Duration::from_millis(1));
    }
    // What was given up is not asked for: the next merge is a fuller one.
    let next = world.submitted("ab", 2);
    assert_eq!(next.snapshot.unwrap().groups[0].components.len(), 2);
}

#[test]
fn a_block_is_asked_for_once_its_fence_is_near_enough() {
    let world = world();
    let tick = || {
        // In 120 s, and its fence half a second later.
        let block_slot = SLOT + 30;
        let offer = BodyOffer {
            block_slot,
            ..offer("a", &PARENT)
        };
        world.body.offer(SLOT, offer);
    };
    tick();
    let stats = world.adapter.stats();
    assert!(stats.skipped.iter().all(|(_, count)| *count == 0));
    assert!(world.service.calls().submits.is_empty());
    wait(|| {
        tick();
        !world.service.calls().submits.is_empty()
    });
    let fence_ms = world.service.calls().submits[0].request.fence_ms;
    assert!(fence_ms.unwrap() <= 120_000, "{fence_ms:?}");
}

#[test]
fn merges_are_cancelled_by_their_request_only() {
    let world = world();
    world.submitted("a", 1);
    let votes = submit_votes(&world);
    let component = offer("b", &PARENT).components[0].component.clone();
    let merge = || {
        Ok::<_, String>(Some(Merge {
            components: vec![component],
            ..Merge::default()
        }))
    };
    let options = MergeOptions {
        priority: Priority::Backlog,
        ..MergeOptions::default()
    };
    let adapter = &world.adapter;
    let merge = adapter
        .merge_or_skip(SLOT, Gates::OPEN, merge, &options)
        .unwrap();
    let mut named = Vec::new();
    let cancelled = adapter.cancel_where(|group| {
        named.push(group.request_id.clone());
        group.request_id != &votes
    });
    assert_eq!((cancelled, named), (0, vec![votes]));
    assert_eq!(adapter.cancel_request(&merge), 1);
    assert_eq!(adapter.cancel_request(&merge), 0, "it is over");
    let results = adapter.take_results(SLOT);
    assert_eq!(results.len(), 1);
    assert!(matches!(results[0].ending, Ending::Cancelled));
    assert_eq!(results[0].request_id, merge);
}

#[test]
fn a_bad_component_is_left_out() {
    let world = world();
    world.end(&world.submitted("ab", 1), Some(1));
    world.end(&world.submitted("ab", 2), None);
    world.grown("ab", "a");
    world.end(&world.submitted("abc", 3), None);
    world.grown("abc", "ac");
}

#[test]
fn a_stale_parent_is_cancelled_and_its_results_are_not_the_nodes() {
    let world = world();
    let first = world.submitted("a", 1);
    world.body.forget();
    wait(|| world.service.calls().cancels.len() == 1);
    world.end(&first, None);
    world.submitted("a", 2);
    world.body.offer(SLOT, offer("b", &[8]));
    wait(|| world.service.calls().cancels.len() == 2);
    let results = world.adapter.take_results(SLOT);
    assert!(results.is_empty(), "{results:?}");
    assert_eq!(world.body.best(), None);
}

#[test]
fn what_a_dropped_candidate_had_in_flight_is_cancelled_and_no_result_of_the_node() {
    let world = world();
    world.submitted("a", 1);
    let World {
        service,
        adapter,
        body,
    } = world;
    drop(body);
    wait(|| service.calls().cancels.len() == 1);
    let results = adapter.take_results(SLOT);
    assert!(results.is_empty(), "{results:?}");
}

/// Submits votes of slot 5. Returns the id of the request.
fn submit_votes(world: &World) -> RequestId {
    let group = proto::Group {
        data: Some(proto::AttestationData::default()),
        ..Default::default()
    };
    let snapshot = || {
        Ok::<_, String>(Some(proto::Snapshot {
            groups: vec![group],
            ..Default::default()
        }))
    };
    let options = Default::default();
    let adapter = &world.adapter;
    adapter
        .submit_or_skip(SLOT, Gates::OPEN, snapshot, &options)
        .unwrap()
}

#[test]
fn what_take_finds_of_votes_is_the_nodes_next_result() {
    let world = world();
    let request_id = submit_votes(&world);
    let mut outcome = proto::Outcome {
        request_id: request_id.to_string(),
        ..Default::default()
    };
    outcome.set_status(proto::OutcomeStatus::NotStarted);
    world.service.send(Event::Outcome(outcome));
    let mut results = Vec::new();
    wait(|| {
        assert_eq!(world.body.take(SLOT, &PARENT), None);
        results = world.adapter.take_results(SLOT);
        !results.is_empty()
    });
    assert_eq!(results[0].request_id, request_id);
}

#[test]
fn what_take_leaves_of_votes_is_dropped_at_its_fence() {
    let world = world();
    let request_id = submit_votes(&world);
    let mut outcome = proto::Outcome {
        request_id: request_id.to_string(),
        proof: vec![1].into(),
        participants: vec![1].into(),
        ..Default::default()
    };
    outcome.set_status(proto::OutcomeStatus::Proved);
    world.service.send(Event::Outcome(outcome));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(world.adapter.ready().wait());
    assert_eq!(world.body.take(SLOT, &PARENT), None);
    let results = world.adapter.take_results(SLOT + 2);
    assert!(results.is_empty(), "{results:?}");
    assert_eq!(world.adapter.stats().fenced_results, 1);
}

#[test]
fn its_options_are_checked() {
    let adapter = Aggregator::builder()
        .node_id("node-1")
        .endpoint("127.0.0.1:1")
        .build()
        .unwrap();
    let error = |adapter: &Aggregator, options| {
        let grown = adapter.grow_body(|| Gates::OPEN, options);
        grown.err().unwrap().to_string()
    };
    let why = error(&adapter, BodyOptions::default());
    assert!(why.starts_with("no slot times"), "{why}");
    let world = world();
    let none = BodyOptions {
        components_max: 0,
        ..BodyOptions::default()
    };
    assert!(error(&world.adapter, none).starts_with("components_max is 0"));
    let urgent = BodyOptions {
        priority: Priority::Proposal,
        ..BodyOptions::default()
    };
    assert!(error(&world.adapter, urgent).starts_with("priority is Proposal"));
}
