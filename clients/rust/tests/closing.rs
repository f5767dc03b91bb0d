//! What an adapter that closes still does.
#![cfg(feature = "client")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lean_aggregator_client::machine::Gates;
use lean_aggregator_client::proto;
use proto::stream_results_response::Event;
use support::adapter::{accept, builder, connect, options, snapshot, started, wait};

#[test]
fn a_verification_that_waits_is_not_begun() {
    let service = started();
    let begun = Arc::new(AtomicU64::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let (for_count, for_end) = (begun.clone(), is_over.clone());
    let verify = move |_: &proto::Outcome| {
        for_count.fetch_add(1, Ordering::Relaxed);
        while !for_end.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
        }
        true
    };
    let adapter = connect(builder(&service).verify(verify), &service);
    let mut votes = snapshot();
    votes.groups = vec![votes.groups[0].clone(); 6];
    let made = || Ok::<_, String>(Some(votes));
    let request_id = adapter
        .submit_or_skip(1, Gates::OPEN, made, &options())
        .unwrap();
    accept(&service);
    for group_index in 0..5 {
        service.send(Event::Outcome(proto::Outcome {
            request_id: request_id.to_string(),
            group_index,
            message: vec![group_index as u8; 32].into(),
            status: proto::OutcomeStatus::Proved.into(),
            proof: vec![1].into(),
            participants: vec![1].into(),
            ..Default::default()
        }));
    }
    // The fifth waits for its turn.
    wait(|| begun.load(Ordering::Relaxed) == 4);
    // The sixth group is cancelled, and the answer takes as long as the adapter waits for it.
    service.calls().holds_cancels = true;
    thread::scope(|scope| {
        let closing = scope.spawn(|| adapter.close(Duration::ZERO));
        wait(|| service.calls().cancels.len() == 1);
        is_over.store(true, Ordering::Relaxed);
        closing.join().unwrap();
    });
    assert_eq!(begun.load(Ordering::Relaxed), 4);
}
