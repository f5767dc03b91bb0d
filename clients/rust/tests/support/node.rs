//! What a node does in the tests against a served project.

use std::thread::sleep;
use std::time::{Duration, Instant};

use lean_aggregator_client::machine::{Gates, SkipReason};
use lean_aggregator_client::{proto, Aggregator, SubmitOptions, TickResult};

pub fn wait_until(what: &str, limit: Duration, mut is_true: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        sleep(Duration::from_millis(10));
    }
    start.elapsed()
}

/// Waits until the first service takes submissions, and nothing is in flight.
pub fn warm_up(adapter: &Aggregator) {
    wait_until("the first proof", Duration::from_secs(90), || {
        if submit(adapter, 1, &options(30)).is_ok() {
            wait_until_idle(adapter);
        }
        let results = adapter.take_results(1);
        let is_proved = results.iter().any(|result| result.proof().is_some());
        if !is_proved {
            sleep(Duration::from_millis(200));
        }
        is_proved
    });
}

/// Waits until a service is reachable and no votes are in flight, which a summary says after the last
/// outcome.
fn wait_until_idle(adapter: &Aggregator) {
    wait_until("nothing in flight", Duration::from_secs(60), || {
        // It is asked for a snapshot only then.
        let nothing = || Ok::<_, String>(None);
        let skip = adapter.submit_or_skip(1, Gates::OPEN, nothing, &options(30));
        skip.is_err_and(|skip| skip.reason == SkipReason::NothingToSubmit)
    });
}

pub fn options(fence_s: u64) -> SubmitOptions {
    SubmitOptions {
        deadline: Some(Duration::from_secs(fence_s / 2)),
        fence: Some(Duration::from_secs(fence_s)),
        ..SubmitOptions::default()
    }
}

pub fn submit(
    adapter: &Aggregator,
    slot: u64,
    options: &SubmitOptions,
) -> Result<(), lean_aggregator_client::Skip> {
    let snapshot = || Ok::<_, String>(Some(snapshot(slot)));
    adapter
        .submit_or_skip(slot, Gates::OPEN, snapshot, options)
        .map(|_| ())
}

pub fn snapshot(slot: u64) -> proto::Snapshot {
    let checkpoint = |byte: u8| {
        Some(proto::Checkpoint {
            root: vec![byte; 32].into(),
            slot,
        })
    };
    let validators = 0..3u32;
    proto::Snapshot {
        head: checkpoint(1),
        justified: checkpoint(2),
        keys: validators
            .clone()
            .map(|validator_index| proto::ValidatorKey {
                validator_index,
                public_key: vec![validator_index as u8 + 1; 52].into(),
                ..Default::default()
            })
            .collect(),
        groups: vec![proto::Group {
            data: Some(proto::AttestationData {
                slot,
                head: checkpoint(1),
                target: checkpoint(2),
                source: checkpoint(3),
            }),
            raw_signatures: validators
                .map(|validator_index| proto::RawSignature {
                    validator_index,
                    signature: vec![slot as u8; 2536].into(),
                })
                .collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Takes until there is a result, then waits until nothing is in flight.
pub fn take(adapter: &Aggregator, slot: u64, limit: Duration) -> Vec<TickResult> {
    let mut results = Vec::new();
    wait_until("a result", limit, || {
        results.extend(adapter.take_results(slot));
        !results.is_empty()
    });
    wait_until_idle(adapter);
    results
}
