//! What the operator of a node learns.
#![cfg(feature = "client")]

mod support;

use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use lean_aggregator_client::{proto, Builder, Problem};
use proto::stream_results_response::Event;
use support::adapter::{builder, wait};
use support::scripted::Scripted;

type Problems = Arc<Mutex<Vec<Problem>>>;

/// Keeps what the adapter reports.
fn kept(builder: Builder) -> (Builder, Problems) {
    let problems = Problems::default();
    let for_hook = problems.clone();
    let builder = builder.on_problem(move |problem| for_hook.lock().unwrap().push(problem));
    (builder, problems)
}

#[test]
fn the_reason_why_no_service_is_reached_is_reported_once_until_one_is() {
    let mut service = Scripted::new();
    let (builder, problems) = kept(builder(&service));
    let adapter = builder.build().unwrap();
    let count = || problems.lock().unwrap().len();
    wait(|| count() == 1);
    // Two more attempts fail meanwhile.
    sleep(Duration::from_millis(800));
    assert_eq!(count(), 1, "{:?}", problems.lock().unwrap());
    let problem = problems.lock().unwrap()[0].clone();
    let Problem::Unreachable { endpoint, message } = &problem else {
        panic!("{problem:?}");
    };
    assert_eq!(**endpoint, *service.address.to_string());
    // The last of the causes.
    assert!(message.contains("Connection refused"), "{message}");
    service.start();
    wait(|| !service.calls().streams.is_empty());
    service.send(Event::Opened(proto::Opened::default()));
    wait(|| adapter.is_reachable());
    service.stop();
    wait(|| count() == 2);
}
