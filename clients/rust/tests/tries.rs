//! How the tries of a submission end, and what is never sent.
#![cfg(feature = "client")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lean_aggregator_client::machine::{Gates, SkipReason};
use lean_aggregator_client::slot::SlotTimes;
use lean_aggregator_client::{proto, Problem, Step, SubmitOptions};
use proto::stream_results_response::Event;
use support::adapter::{builder, connect, options, snapshot, started, submit, wait};
use support::scripted::{Intake, Scripted};

/// Opens the newest stream, for a service that knows none of the requests that it names.
fn open_without_requests(service: &Scripted) {
    let awaited = {
        let calls = service.calls();
        let request = &calls.streams.last().unwrap().request;
        request.awaited.clone()
    };
    let awaited = awaited.into_iter().map(|each| proto::AwaitedState {
        request_id: each.request_id,
        state: proto::RequestState::Unknown.into(),
    });
    service.send(Event::Opened(proto::Opened {
        service_id: "s".into(),
        awaited: awaited.collect(),
        ..Default::default()
    }));
    service.beat();
}

#[test]
fn a_try_ends_with_its_silent_connection_and_is_sent_again() {
    let service = started();
    let adapter = connect(builder(&service), &service);
    let votes = || Ok::<_, String>(Some(snapshot()));
    let options = SubmitOptions {
        deadline: Some(Duration::from_millis(8000)),
        fence: Some(Duration::from_millis(8000)),
        ..SubmitOptions::default()
    };
    let request_id = adapter
        .submit_or_skip(1, Gates::OPEN, votes, &options)
        .unwrap();
    wait(|| service.calls().submits.len() == 1);
    service.silence();
    wait(|| service.calls().streams.len() == 2);
    open_without_requests(&service);
    let opened = Instant::now();
    wait(|| service.calls().submits.len() == 2);
    let passed = opened.elapsed();
    assert!(passed < Duration::from_millis(1500), "{passed:?}");
    assert_eq!(service.calls().submits[1].request.request_id, *request_id);
}

#[test]
fn a_cancelled_submission_is_not_sent_to_its_end() {
    let service = started();
    let adapter = connect(builder(&service), &service);
    service.calls().intake = Intake::ReadsNothing;
    let mut large = snapshot();
    large.groups[0].raw_signatures = vec![proto::RawSignature {
        validator_index: 0,
        signature: vec![0; 4 << 20].into(),
    }];
    let votes = || Ok::<_, String>(Some(large));
    adapter
        .submit_or_skip(1, Gates::OPEN, votes, &options())
        .unwrap();
    wait(|| service.calls().unread == 1);
    assert_eq!(service.calls().ended_unread, 0);
    assert_eq!(adapter.cancel_where(|_| true), 1);
    wait(|| service.calls().cancels.len() == 1);
    wait(|| service.calls().ended_unread == 1);
}

#[test]
fn what_is_past_its_deadline_or_fence_is_skipped_in_the_tick() {
    let service = started();
    let unreachable = Arc::new(Mutex::new(Vec::new()));
    let for_hook = unreachable.clone();
    let builder = builder(&service)
        .slot_times(SlotTimes {
            slot_ms: 4000,
            intervals: 5,
            phase_ms: 0,
        })
        .on_unreachable(move |each| for_hook.lock().unwrap().push(each.clone()));
    let adapter = connect(builder, &service);
    let late_fence = SubmitOptions {
        fence: Some(Duration::ZERO),
        ..options()
    };
    let late_deadline = SubmitOptions {
        deadline: Some(Duration::ZERO),
        ..options()
    };
    for options in [late_fence, late_deadline, SubmitOptions::default()] {
        let votes = || Ok::<_, String>(Some(snapshot()));
        let skip = adapter.submit_or_skip(1, Gates::OPEN, votes, &options);
        let skip = skip.unwrap_err();
        assert_eq!(skip.reason, SkipReason::PredictedMiss);
        assert_eq!(skip.request_id, None);
    }
    assert_eq!(adapter.stats().skipped_for(SkipReason::PredictedMiss), 3);
    adapter.take_results(1);
    assert_eq!(*unreachable.lock().unwrap(), []);
    // What can be submitted comes first: nothing was sent before it.
    let request_id = submit(&adapter);
    wait(|| !service.calls().submits.is_empty());
    assert_eq!(service.calls().submits[0].request.request_id, request_id);
}

#[test]
fn a_page_with_status_200_is_invalid() {
    let service = started();
    let seen = Arc::new(Mutex::new((Vec::new(), Vec::new())));
    let (for_skips, for_problems) = (seen.clone(), seen.clone());
    let builder = builder(&service)
        .on_skip(move |skip| for_skips.lock().unwrap().0.push(skip.reason))
        .on_problem(move |problem| for_problems.lock().unwrap().1.push(problem));
    let adapter = connect(builder, &service);
    service.calls().intake = Intake::Page;
    submit(&adapter);
    wait(|| !seen.lock().unwrap().0.is_empty());
    let seen = seen.lock().unwrap();
    assert_eq!(seen.0, [SkipReason::Invalid]);
    let Problem::Invalid { message, .. } = &seen.1[0] else {
        panic!("{:?}", seen.1);
    };
    assert!(message.contains("HTTP status 200"), "{message}");
}

#[test]
fn no_deadline_is_later_than_the_fence() {
    let service = started();
    let adapter = connect(builder(&service), &service);
    let late = SubmitOptions {
        deadline: Some(Duration::from_secs(60)),
        ..options()
    };
    let votes = || Ok::<_, String>(Some(snapshot()));
    adapter
        .submit_or_skip(1, Gates::OPEN, votes, &late)
        .unwrap();
    wait(|| service.calls().submits.len() == 1);
    let calls = service.calls();
    let request = &calls.submits[0].request;
    assert_eq!(request.deadline_ms, request.fence_ms);
}

#[test]
fn steps_that_every_service_refuses_are_skipped_in_the_tick() {
    let service = started();
    let adapter = connect(builder(&service), &service);
    let cases: [(&[(u64, u32)], &str); 5] = [
        (&[(1, 0)], "steps[0].weight is 0: give 1 to 1000000"),
        (&[(1, 1_000_001)], "steps[0].weight is 1000001"),
        (&[(2, 2), (1, 1)], "steps[1].until is 1s, below the 2s"),
        (&[(1, 2), (2, 2)], "steps[1].weight is 2, not below the 2"),
        (&[(1, 1); 9], "steps has 9 entries: give at most 8"),
    ];
    for (steps, why) in cases {
        let steps = steps.iter().map(|(until_s, weight)| Step {
            until: Duration::from_secs(*until_s),
            weight: *weight,
        });
        let wrong = SubmitOptions {
            steps: Some(steps.collect()),
            ..options()
        };
        let votes = || Ok::<_, String>(Some(snapshot()));
        let skip = adapter.submit_or_skip(1, Gates::OPEN, votes, &wrong);
        let skip = skip.unwrap_err();
        assert_eq!(skip.reason, SkipReason::Invalid);
        assert!(skip.detail.starts_with(why), "{}", skip.detail);
    }
    assert!(service.calls().submits.is_empty());
}
