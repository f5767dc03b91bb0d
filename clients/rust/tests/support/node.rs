//! What a node does in the tests against a served project.

use std::thread::sleep;
use std::time::{Duration, Instant};

use lean_aggregator_client::machine::Gates;
use lean_aggregator_client::{proto, Aggregator, SubmitOptions, TickResult};

pub fn wait_until(what: &str, limit: Duration, mut is_true: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        sleep(Duration::from_millis(10));
    }
    start.elapsed()
}

/// Waits until the first service takes submissions.
pub fn warm_up(adapter: &Aggregator) {
    wait_until("the first proof", Duration::from_secs(40), || {
        let options = SubmitOptions {
            deadline: Some(Duration::from_secs(5)),
            ..options(10)
        };
        if submit(adapter, 1, &options).is_err() {
            sleep(Duration::from_millis(200));
            return false;
        }
        let mut results = Vec::new();
        let start = Instant::now();
        while results.is_empty() && start.elapsed() < Duration::from_secs(5) {
            results = adapter.take_results(1);
            sleep(Duration::from_millis(20));
        }
        results.iter().any(|result| result.proof().is_some())
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

pub fn take(adapter: &Aggregator, slot: u64, limit: Duration) -> Vec<TickResult> {
    let mut results = Vec::new();
    wait_until("a result", limit, || {
        results.extend(adapter.take_results(slot));
        !results.is_empty()
    });
    results
}
