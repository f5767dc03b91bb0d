//! When a result stream opens.
#![cfg(feature = "client")]

mod support;

use std::thread::sleep;
use std::time::Duration;

use lean_aggregator_client::proto;
use proto::stream_results_response::Event;
use support::adapter::{builder, started, wait};

#[test]
fn a_token_that_takes_its_time_leaves_the_service_its_own() {
    let service = started();
    let slow = || {
        sleep(Duration::from_millis(1500));
        "secret".to_owned()
    };
    let adapter = builder(&service).token_source(slow).build().unwrap();
    wait(|| !service.calls().streams.is_empty());
    // More than two seconds after the token was asked for, and less than that after the call.
    sleep(Duration::from_millis(1000));
    service.send(Event::Opened(proto::Opened::default()));
    service.beat();
    sleep(Duration::from_millis(300));
    assert!(!service.calls().streams[0].events.is_closed());
    adapter.close(Duration::ZERO);
}
