//! An adapter in front of a scripted service, and what both do in most tests.

use std::time::{Duration, Instant};

use lean_aggregator_client::machine::Gates;
use lean_aggregator_client::{proto, Aggregator, Builder, SubmitOptions};
use proto::stream_results_response::Event;
use proto::submit_snapshot_response::Result as Answer;

use super::scripted::Scripted;

pub fn builder(service: &Scripted) -> Builder {
    Aggregator::builder()
        .node_id("node-1")
        .endpoint(service.address.to_string())
}

/// Starts a service, and opens the adapter's stream.
pub fn connect(builder: Builder, service: &Scripted) -> Aggregator {
    let adapter = builder.build().unwrap();
    wait(|| !service.calls().streams.is_empty());
    service.send(Event::Opened(proto::Opened {
        service_id: "s".into(),
        ..Default::default()
    }));
    service.beat();
    adapter
}

pub fn started() -> Scripted {
    let mut service = Scripted::new();
    service.start();
    service
}

pub fn wait(mut is_true: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < Duration::from_secs(20), "did not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn options() -> SubmitOptions {
    SubmitOptions {
        fence: Some(Duration::from_secs(30)),
        deadline: Some(Duration::from_secs(10)),
        ..SubmitOptions::default()
    }
}

pub fn snapshot() -> proto::Snapshot {
    proto::Snapshot {
        groups: vec![proto::Group {
            data: Some(proto::AttestationData {
                slot: 7,
                ..Default::default()
            }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

pub fn submit(adapter: &Aggregator) -> String {
    let made = || Ok::<_, String>(Some(snapshot()));
    let id = adapter.submit_or_skip(1, Gates::OPEN, made, &options());
    id.unwrap().to_string()
}

pub fn accept(service: &Scripted) {
    wait(|| !service.calls().submits.is_empty());
    let answer = service.calls().submits[0].answer.take().unwrap();
    let accepted = proto::Accepted {
        fence_ms: 30_000,
        service_id: "s".into(),
        ..Default::default()
    };
    let result = Some(Answer::Accepted(accepted));
    let _ = answer.send(Ok(proto::SubmitSnapshotResponse { result }));
}

pub fn prove(service: &Scripted, request_id: String) {
    service.send(Event::Outcome(proto::Outcome {
        request_id,
        message: vec![1; 32].into(),
        status: proto::OutcomeStatus::Proved.into(),
        proof: vec![1, 2, 3].into(),
        participants: vec![1].into(),
        ..Default::default()
    }));
}
