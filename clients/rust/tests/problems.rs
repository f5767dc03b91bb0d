//! What the operator of a node learns.
#![cfg(feature = "client")]

mod support;

use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use lean_aggregator_client::{proto, Builder, Problem};
use proto::stream_results_response::Event;
use support::adapter::{builder, started, wait};
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

#[test]
fn an_adapter_with_a_token_that_cannot_be_sent_is_not_built() {
    let service = Scripted::new();
    for token in ["", "two words", "a\nb", "\u{e4}"] {
        let built = builder(&service).token(token).build();
        let error = built.err().unwrap().to_string();
        assert!(error.starts_with("token: give one"), "{error}");
    }
}

#[test]
fn a_source_is_blamed_for_a_token_that_cannot_be_sent_and_no_endpoint() {
    let service = started();
    let (builder, problems) = kept(builder(&service).token_source(|| "two words".into()));
    let adapter = builder.build().unwrap();
    wait(|| !problems.lock().unwrap().is_empty());
    drop(adapter);
    for problem in problems.lock().unwrap().iter() {
        assert!(matches!(problem, Problem::Token { .. }), "{problem}");
    }
    assert!(service.calls().streams.is_empty());
}

#[test]
fn a_source_that_makes_no_token_in_time_is_blamed() {
    let service = started();
    let slow = || {
        sleep(Duration::from_secs(3));
        "secret".to_owned()
    };
    let (builder, problems) = kept(builder(&service).token_source(slow));
    let adapter = builder.build().unwrap();
    wait(|| !problems.lock().unwrap().is_empty());
    let text = problems.lock().unwrap()[0].to_string();
    assert_eq!(text, "the node's token: its source made no token in time");
    adapter.close(Duration::ZERO);
}
