//! When the node is woken.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::client::options::SubmitOptions;
use crate::client::submitter::Submitter;
use crate::machine::{Gates, Limits, ProofKind};

#[test]
fn a_result_in_the_place_of_a_dropped_one_wakes_the_node() {
    let wakes = Arc::new(AtomicU64::new(0));
    let for_hook = wakes.clone();
    let on_ready = move || {
        for_hook.fetch_add(1, Ordering::Relaxed);
    };
    let hooks = Hooks {
        on_ready: Some(Arc::new(on_ready)),
        ..Hooks::default()
    };
    let header = Header {
        node: proto::Node::default(),
        proof_system: None,
    };
    let (sender, _commands) = mpsc::unbounded_channel();
    let names = vec!["service".into()];
    let shared = Shared::new(header, names, hooks, Metrics::default(), sender);
    let limits = Limits {
        results_max: 1,
        ..Limits::default()
    };
    shared.state().machine = Machine::with_limits(1, false, limits);
    let shared = Arc::new(shared);
    let submitter = Submitter::new(shared.clone(), None, Duration::from_secs(60));
    let options = SubmitOptions {
        fence: Some(Duration::from_secs(60)),
        ..SubmitOptions::default()
    };
    let snapshot = proto::Snapshot {
        groups: vec![proto::Group::default(); 2],
        ..Default::default()
    };
    let made = || Ok::<_, String>(Some(Ok(snapshot)));
    let kind = ProofKind::Aggregate;
    let made = submitter.ask_and_submit(1, Gates::OPEN, kind, made, &options, |_| ());
    let request_id = made.unwrap();
    for group in [0, 1] {
        shared.handle(Event::Cancel {
            request_id: request_id.clone(),
            groups: Some(vec![group]),
        });
    }
    assert_eq!(wakes.load(Ordering::Relaxed), 2);
    assert_eq!(shared.take(1, None, None).len(), 1);
}
