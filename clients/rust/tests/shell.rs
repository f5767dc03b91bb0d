//! What the shell does beside the transcripts: the node's closures, the token, the metrics.
#![cfg(feature = "client")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use lean_aggregator_client::machine::{Gates, Priority, SkipReason};
use lean_aggregator_client::slot::SlotTimes;
use lean_aggregator_client::{
    proto, Aggregator, Component, Ending, Merge, MergeOptions, Message, Signers, SubmitOptions,
};
use proto::stream_results_response::Event;
use support::adapter::{accept, builder, connect, options, prove, snapshot, started, submit, wait};
use support::scripted::Scripted;

#[test]
fn a_snapshot_that_panics_fails_or_is_nothing_is_skipped() {
    let service = started();
    let adapter = connect(builder(&service), &service);
    let none = || Ok::<_, String>(None);
    let skip = adapter.submit_or_skip(1, Gates::OPEN, none, &options());
    assert_eq!(skip.unwrap_err().reason, SkipReason::NothingToSubmit);
    let fails = || Err::<Option<proto::Snapshot>, _>("no state");
    let skip = adapter.submit_or_skip(1, Gates::OPEN, fails, &options());
    let skip = skip.unwrap_err();
    assert_eq!(skip.reason, SkipReason::SnapshotThrew);
    assert_eq!(skip.detail, "no state");
    let panics = || -> Result<Option<proto::Snapshot>, String> { panic!("in the node") };
    let skip = adapter.submit_or_skip(1, Gates::OPEN, panics, &options());
    assert_eq!(skip.unwrap_err().reason, SkipReason::SnapshotThrew);
    let stats = adapter.stats();
    assert_eq!(stats.skipped_for(SkipReason::SnapshotThrew), 2);
    submit(&adapter);
}

#[test]
fn a_token_and_a_time_limit_go_with_each_submission() {
    let service = started();
    let adapter = connect(builder(&service).token("secret"), &service);
    submit(&adapter);
    wait(|| !service.calls().submits.is_empty());
    let calls = service.calls();
    assert_eq!(
        calls.submits[0].authorization.as_deref(),
        Some("Bearer secret")
    );
    assert!(calls.submits[0].has_time_limit);
}

#[test]
fn without_a_word_votes_have_the_slots_steps_and_backlog_until_the_fence() {
    let service = started();
    // Slot 1 begins in an hour.
    let phase = UNIX_EPOCH.elapsed().unwrap() + Duration::from_secs(3600);
    let times = SlotTimes {
        slot_ms: 4000,
        intervals: 5,
        phase_ms: i64::try_from(phase.as_millis()).unwrap() - 4000,
    };
    let adapter = connect(builder(&service).slot_times(times), &service);
    let votes = || Ok::<_, String>(Some(snapshot()));
    let backlog = SubmitOptions::backlog();
    for options in [SubmitOptions::default(), backlog] {
        adapter
            .submit_or_skip(1, Gates::OPEN, votes, &options)
            .unwrap();
    }
    wait(|| service.calls().submits.len() == 2);
    let requests: Vec<_> = service
        .calls()
        .submits
        .iter()
        .map(|call| call.request.clone())
        .collect();
    for request in &requests {
        let steps: Vec<_> = request.steps.iter().map(|step| step.weight).collect();
        assert_eq!(steps, [4, 2, 1]);
        let fence_ms = request.fence_ms.unwrap();
        assert!(request.steps[2].until_ms.abs_diff(fence_ms) < 20);
        assert!(request.steps[0].until_ms.abs_diff(fence_ms - 8000 + 2400) < 20);
    }
    let (votes, backlog) = (&requests[0], &requests[1]);
    assert!(votes.deadline_ms.unwrap() <= 750);
    assert_eq!(backlog.deadline_ms, backlog.fence_ms);
}

#[test]
fn a_snapshot_that_takes_long_shortens_no_default_fence() {
    let service = started();
    let unix_ms = || i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let times = SlotTimes {
        slot_ms: 4000,
        intervals: 5,
        phase_ms: unix_ms() - 4000,
    };
    let adapter = connect(builder(&service).slot_times(times), &service);
    let slow = || {
        std::thread::sleep(Duration::from_millis(400));
        Ok::<_, String>(Some(snapshot()))
    };
    let backlog = SubmitOptions::backlog();
    adapter
        .submit_or_skip(1, Gates::OPEN, slow, &backlog)
        .unwrap();
    wait(|| service.calls().submits.len() == 1);
    // What is left by now is less than what was left when it was sent.
    let left_ms = times.fence_at(1) - unix_ms();
    let calls = service.calls();
    let request = &calls.submits[0].request;
    let (fence_ms, steps) = (request.fence_ms.unwrap(), &request.steps);
    assert!(i64::from(fence_ms) + 5 > left_ms, "{fence_ms} of {left_ms}");
    assert!(steps.last().unwrap().until_ms.abs_diff(fence_ms) < 20);
}

#[test]
fn what_is_not_taken_stays_until_its_fence() {
    let service = started();
    let times = SlotTimes {
        slot_ms: 4000,
        intervals: 5,
        phase_ms: i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap() - 4000,
    };
    let adapter = connect(builder(&service).slot_times(times), &service);
    let votes = || {
        let mut votes = snapshot();
        votes.groups = vec![votes.groups[0].clone(); 3];
        Ok::<_, String>(Some(votes))
    };
    let options = SubmitOptions::default();
    let request_id = adapter
        .submit_or_skip(1, Gates::OPEN, votes, &options)
        .unwrap();
    for group_index in 0..3 {
        service.send(Event::Outcome(proto::Outcome {
            request_id: request_id.to_string(),
            group_index,
            message: vec![group_index as u8; 32].into(),
            status: proto::OutcomeStatus::Proved.into(),
            proof: vec![1, 2, 3].into(),
            participants: vec![1].into(),
            ..Default::default()
        }));
    }
    let mut taken = Vec::new();
    wait(|| {
        taken.extend(adapter.take_at_most(1, 1));
        !taken.is_empty()
    });
    assert_eq!((taken.len(), taken[0].group_index), (1, 0));
    adapter.close(Duration::from_secs(5));
    assert_eq!(adapter.take_results(3).len(), 0);
    assert_eq!(adapter.stats().fenced_results, 2);
}

#[test]
fn the_trace_of_the_node_goes_with_a_submission() {
    let service = started();
    let adapter = connect(builder(&service), &service);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced = |priority, traceparent: &str| SubmitOptions {
        priority,
        traceparent: Some(traceparent.to_owned()),
        ..options()
    };
    let made = || Ok::<_, String>(Some(snapshot()));
    let valid = traced(Priority::Aggregation, trace);
    adapter
        .submit_or_skip(1, Gates::OPEN, made, &valid)
        .unwrap();
    wait(|| service.calls().submits.len() == 1);
    assert_eq!(
        service.calls().submits[0].traceparent.as_deref(),
        Some(trace)
    );
    let invalid = traced(Priority::Backlog, "x\r\nauthorization: y");
    adapter
        .submit_or_skip(1, Gates::OPEN, made, &invalid)
        .unwrap();
    wait(|| service.calls().submits.len() == 2);
    assert_eq!(service.calls().submits[1].traceparent, None);
    let component = Component {
        message: Message::Data(proto::AttestationData::default()),
        signers: Signers::Raws(Vec::new()),
    };
    let merge = || {
        Ok::<_, String>(Some(Merge {
            components: vec![component],
            ..Merge::default()
        }))
    };
    let of_merge = MergeOptions {
        fence: Some(Duration::from_secs(9)),
        traceparent: Some(trace.to_owned()),
        ..MergeOptions::default()
    };
    adapter
        .merge_or_skip(1, Gates::OPEN, merge, &of_merge)
        .unwrap();
    wait(|| service.calls().submits.len() == 3);
    assert_eq!(
        service.calls().submits[2].traceparent.as_deref(),
        Some(trace)
    );
}

#[test]
fn a_token_source_that_panics_ends_no_stream_for_ever() {
    let service = started();
    let calls = AtomicU64::new(0);
    let source = move || match calls.fetch_add(1, Ordering::Relaxed) {
        0 => panic!("the first token cannot be made"),
        _ => "secret".to_owned(),
    };
    let adapter = connect(builder(&service).token_source(source), &service);
    adapter.close(Duration::ZERO);
}

#[test]
fn a_token_source_that_blocks_holds_up_no_result() {
    let service = started();
    let is_blocking = Arc::new(AtomicBool::new(false));
    let gate = is_blocking.clone();
    let source = move || {
        while gate.load(Ordering::Relaxed) {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        "secret".to_owned()
    };
    let adapter = connect(builder(&service).token_source(source), &service);
    let request_id = submit(&adapter);
    accept(&service);
    is_blocking.store(true, Ordering::Relaxed);
    let backlog = SubmitOptions {
        priority: Priority::Backlog,
        ..options()
    };
    let made = || Ok::<_, String>(Some(snapshot()));
    adapter
        .submit_or_skip(1, Gates::OPEN, made, &backlog)
        .unwrap();
    // Its token is being made, and the stream is read all the same.
    prove(&service, request_id);
    wait(|| !adapter.take_results(1).is_empty());
    assert_eq!(service.calls().submits.len(), 1);
    is_blocking.store(false, Ordering::Relaxed);
    wait(|| service.calls().submits.len() == 2);
    assert_eq!(
        service.calls().submits[1].authorization.as_deref(),
        Some("Bearer secret")
    );
    is_blocking.store(true, Ordering::Relaxed);
    let start = Instant::now();
    adapter.close(Duration::ZERO);
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    is_blocking.store(false, Ordering::Relaxed);
}

#[test]
fn a_token_never_goes_over_a_network_in_plain_text() {
    let far = Aggregator::builder()
        .node_id("node-1")
        .endpoint("192.0.2.1:9190")
        .token("secret");
    let error = far.build().err().unwrap().to_string();
    assert!(
        error.starts_with("endpoint 192.0.2.1:9190: a token goes"),
        "{error}"
    );
}

#[test]
fn a_proof_that_the_node_does_not_accept_is_refused() {
    let service = started();
    let calls = Arc::new(AtomicU64::new(0));
    let seen = calls.clone();
    let verify = move |outcome: &proto::Outcome| {
        seen.fetch_add(1, Ordering::Relaxed);
        // A panic is no approval either.
        assert_ne!(outcome.proof[..], [1, 2, 3], "not this proof");
        true
    };
    let adapter = connect(builder(&service).verify(verify), &service);
    let request_id = submit(&adapter);
    accept(&service);
    prove(&service, request_id);
    let mut results = Vec::new();
    wait(|| {
        results = adapter.take_results(1);
        !results.is_empty()
    });
    assert!(matches!(results[0].ending, Ending::Refused), "{results:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[test]
fn the_node_is_told_when_results_can_be_taken_and_copies_no_proof() {
    let service = started();
    let told = Arc::new(AtomicU64::new(0));
    let hook = told.clone();
    let builder = builder(&service).on_ready(move || {
        hook.fetch_add(1, Ordering::Relaxed);
    });
    let adapter = connect(builder, &service);
    let request_id = submit(&adapter);
    accept(&service);
    prove(&service, request_id);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(adapter.ready().wait());
    wait(|| told.load(Ordering::Relaxed) == 1);
    let results = adapter.take_results(1);
    let (one, two) = (results[0].proof().unwrap(), results[0].proof().unwrap());
    assert_eq!(one.bytes.as_ptr(), two.bytes.as_ptr());
}

#[test]
fn groups_that_left_the_chain_are_cancelled() {
    let service = started();
    let adapter = connect(builder(&service), &service);
    submit(&adapter);
    accept(&service);
    assert_eq!(
        adapter.cancel_where(|group| group.data.is_some_and(|data| data.slot == 6)),
        0
    );
    assert_eq!(
        adapter.cancel_where(|group| group.data.is_some_and(|data| data.slot == 7)),
        1
    );
    wait(|| !service.calls().cancels.is_empty());
    let results = adapter.take_results(1);
    assert!(
        matches!(results[0].ending, Ending::Cancelled),
        "{results:?}"
    );
}

#[test]
fn an_unreachable_service_is_told_in_the_tick() {
    let told = Arc::new(AtomicU64::new(0));
    let hook = told.clone();
    let service = Scripted::new();
    let builder = builder(&service).on_unreachable(move |unreachable| {
        assert_eq!(unreachable.slot, 1);
        hook.fetch_add(1, Ordering::Relaxed);
    });
    let adapter = builder.build().unwrap();
    wait(|| !adapter.is_reachable());
    let made = || Ok::<_, String>(Some(snapshot()));
    let skip = adapter.submit_or_skip(1, Gates::OPEN, made, &options());
    assert_eq!(skip.unwrap_err().reason, SkipReason::Unreachable);
    assert_eq!(told.load(Ordering::Relaxed), 1);
}

#[test]
fn close_without_a_limit_waits_for_what_is_in_flight() {
    let service = started();
    let adapter = connect(builder(&service), &service);
    let request_id = submit(&adapter);
    accept(&service);
    std::thread::scope(|scope| {
        let closing = scope.spawn(|| adapter.close(Duration::MAX));
        prove(&service, request_id);
        closing.join().unwrap();
    });
    assert_eq!(adapter.take_results(1).len(), 1);
}

#[test]
fn a_slot_at_the_end_of_time_has_a_fence() {
    let service = started();
    let times = SlotTimes {
        slot_ms: 4000,
        intervals: 5,
        phase_ms: 0,
    };
    let adapter = connect(builder(&service).slot_times(times), &service);
    let votes = || Ok::<_, String>(Some(snapshot()));
    let last = i64::MAX as u64;
    let options = SubmitOptions::default();
    adapter
        .submit_or_skip(last, Gates::OPEN, votes, &options)
        .unwrap();
    wait(|| service.calls().submits.len() == 1);
    assert_eq!(service.calls().submits[0].request.fence_ms, Some(u32::MAX));
}

#[cfg(feature = "prometheus")]
#[test]
fn the_time_of_a_submission_counts_once_the_gates_are_open() {
    let service = started();
    let registry = prometheus::Registry::new();
    let adapter = connect(builder(&service).registry(&registry), &service);
    let observed = || {
        let metrics = registry.gather();
        let mut metrics = metrics.iter();
        let name = "lean_aggregator_submit_duration_seconds";
        let metric = metrics.find(|each| each.name() == name).unwrap();
        metric.get_metric()[0].get_histogram().get_sample_count()
    };
    let closed = Gates {
        is_aggregator: false,
        ..Gates::OPEN
    };
    let votes = || Ok::<_, String>(Some(snapshot()));
    let skip = adapter.submit_or_skip(1, closed, votes, &options());
    assert_eq!(skip.unwrap_err().reason, SkipReason::NotAggregator);
    assert_eq!(observed(), 0);
    let none = || Ok::<_, String>(None);
    let skip = adapter.submit_or_skip(1, Gates::OPEN, none, &options());
    assert_eq!(skip.unwrap_err().reason, SkipReason::NothingToSubmit);
    assert_eq!(observed(), 1);
    submit(&adapter);
    assert_eq!(observed(), 2);
}

#[cfg(feature = "prometheus")]
#[test]
fn every_metric_is_there_from_the_start() {
    let service = Scripted::new();
    let registry = prometheus::Registry::new();
    let adapter = builder(&service).registry(&registry).build().unwrap();
    let names: Vec<String> = registry
        .gather()
        .iter()
        .map(|each| each.name().into())
        .collect();
    assert_eq!(names.len(), 10, "{names:?}");
    let skipped = registry.gather();
    let skipped = skipped
        .iter()
        .find(|each| each.name() == "lean_aggregator_skipped_total");
    assert_eq!(skipped.unwrap().get_metric().len(), SkipReason::ALL.len());
    drop(adapter);
    assert!(
        builder(&service).registry(&registry).build().is_err(),
        "room for one"
    );
}
