//! What happens to a body while its merge is being submitted.

use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;
use crate::client::merge::{Component, Message, Signers};
use crate::client::Aggregator;
use crate::slot::SlotTimes;

#[test]
fn a_merge_that_is_forgotten_while_it_is_submitted_is_cancelled() {
    // Answers nothing: without a cancel, the merge stays in flight.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let adapter = Aggregator::builder()
        .node_id("node-1")
        .endpoint(listener.local_addr().unwrap().to_string())
        .slot_times(SlotTimes {
            slot_ms: 4000,
            intervals: 5,
            phase_ms: 0,
        })
        .build()
        .unwrap();
    let grown = adapter.grow_body(|| Gates::OPEN, BodyOptions::default());
    let body = grown.unwrap().0;
    let component = BodyComponent {
        key: "a".into(),
        worth: None,
        component: Component {
            message: Message::Data(proto::AttestationData::default()),
            signers: Signers::Raws(Vec::new()),
        },
    };
    let offered = Offered {
        key: component.key.clone(),
        worth: 1,
        component,
    };
    let ask = {
        let mut growing = body.growing();
        let effects = growing.candidate.offered(block_of(12, &[9]), vec![offered]);
        growing.calls_of(effects).submit.unwrap()
    };
    let minute = Some(Duration::from_secs(60));
    let options = MergeOptions {
        deadline: minute,
        fence: minute,
        ..MergeOptions::default()
    };
    let mut calls = Calls::default();
    let mut forgetting = None;
    let on_submit = |request_id: &RequestId| {
        calls = body.submitted(ask.number, request_id);
        let candidate = BodyCandidate(body.clone());
        let (forgotten, is_forgotten) = mpsc::channel();
        forgetting = Some(thread::spawn(move || {
            candidate.forget();
            let _ = forgotten.send(());
        }));
        let _ = is_forgotten.recv_timeout(Duration::from_millis(50));
    };
    let merge = || Ok::<_, Infallible>(Some(ask.merge));
    let submitter = &body.submitter;
    submitter
        .merge_or_skip(ask.slot, Gates::OPEN, merge, &options, on_submit)
        .unwrap();
    body.call(calls);
    forgetting.unwrap().join().unwrap();
    assert_eq!(submitter.shared.state().machine.in_flight().count(), 0);
}
