//! The adapter against the project's own service. Skipped without `LEANAGG_SERVICE`.
//!
//! `LEANAGG_SERVICE=../../dist/cli/main.js cargo test --test served`; with
//! `LEANAGG_REAL_PROVER=1` too, one test proves for real.
#![cfg(feature = "client")]

mod support;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use lean_aggregator_client::machine::{Gates, Priority, SkipReason};
use lean_aggregator_client::{
    proto, Aggregator, Component, Ending, Merge, MergeOptions, Message, Signers, Skip, TickResult,
};
use support::node::{options, submit, take, wait_until, warm_up};
use support::served::{program, Service};
use support::vectors::{hex, number, numbers, text};

const FAKE: [&str; 6] = [
    "--prover",
    "fake",
    "--fake-accepts",
    "any",
    "--fake-time",
    "600",
];

/// Proofs that last until a test has done something to their service.
const SLOW: [&str; 6] = [
    "--prover",
    "fake",
    "--fake-accepts",
    "any",
    "--fake-time",
    "3000",
];

/// Submits, and waits until this service has accepted the votes and begun their proof.
fn submit_and_begin(adapter: &Aggregator, slot: u64, service: &Service) {
    let (begun, answered) = (service.begun(), service.answered());
    submit(adapter, slot, &options(30)).unwrap();
    wait_until("the proof begins", Duration::from_secs(15), || {
        service.begun() > begun && service.answered() > answered
    });
}

fn adapter(services: &[&Service]) -> Aggregator {
    let mut builder = Aggregator::builder()
        .node_id("rust-node")
        .on_skip(|skip| eprintln!("{skip}"))
        .on_problem(|problem| eprintln!("{problem}"));
    for service in services {
        builder = builder.endpoint(service.endpoint());
    }
    builder.build().unwrap()
}

#[test]
fn a_request_survives_the_death_of_its_only_service() {
    let Some(program) = program() else { return };
    let mut service = Service::start(&program, &SLOW);
    let adapter = adapter(&[&service]);
    warm_up(&adapter);
    submit_and_begin(&adapter, 2, &service);
    service.kill();
    service.start_again();
    let results = take(&adapter, 2, Duration::from_secs(29));
    assert!(
        results[0].proof().is_some(),
        "{results:?}\n{}",
        service.log()
    );
    assert_eq!(adapter.stats().resubmitted, 1);
    assert_eq!(adapter.stats().lost_groups, 0);
    adapter.close(Duration::from_secs(1));
}

#[test]
fn a_merge_has_its_claims_and_names_a_bad_component() {
    let Some(program) = program() else { return };
    let service = Service::start(&program, &FAKE);
    let adapter = adapter(&[&service]);
    warm_up(&adapter);
    let key = |validator_index: u32, role: proto::KeyRole| proto::ValidatorKey {
        validator_index,
        public_key: vec![validator_index as u8 + 1; 32].into(),
        role: role.into(),
    };
    let raws = |validator_index| {
        Signers::Raws(vec![proto::RawSignature {
            validator_index,
            signature: vec![7; 64].into(),
        }])
    };
    let checkpoint = |slot| {
        Some(proto::Checkpoint {
            root: vec![9; 32].into(),
            slot,
        })
    };
    let merge = |proposer| Merge {
        head: checkpoint(1),
        justified: checkpoint(0),
        keys: vec![
            key(0, proto::KeyRole::Attestation),
            key(1, proto::KeyRole::Proposal),
        ],
        components: vec![
            Component {
                message: Message::Data(proto::AttestationData {
                    slot: 2,
                    head: checkpoint(1),
                    target: checkpoint(1),
                    source: checkpoint(0),
                }),
                signers: raws(0),
            },
            Component {
                message: Message::Root(
                    proto::SignedRoot {
                        root: vec![5; 32].into(),
                        slot: 2,
                    },
                    proto::KeyRole::Proposal,
                ),
                signers: raws(proposer),
            },
        ],
        ..Merge::default()
    };
    let options = MergeOptions {
        priority: Priority::Proposal,
        fence: Some(Duration::from_secs(20)),
        ..MergeOptions::default()
    };
    let submit = |proposer| {
        let made = || Ok::<_, std::convert::Infallible>(Some(merge(proposer)));
        adapter.merge_or_skip(2, Gates::OPEN, made, &options)
    };
    submit(1).unwrap();
    let results = take(&adapter, 2, Duration::from_secs(19));
    let outcome = results[0].outcome().unwrap();
    assert!(results[0].proof().is_some(), "{outcome:?}");
    let participants = outcome.claims.iter().map(|claim| claim.participants[0]);
    assert_eq!(participants.collect::<Vec<_>>(), [1, 2]);
    // Validator 0 has no key for blocks.
    wait_until("the next merge", Duration::from_secs(5), || {
        submit(0).is_ok()
    });
    let results = take(&adapter, 2, Duration::from_secs(19));
    let left_out = &results[0].outcome().unwrap().left_out;
    let named = left_out.iter().map(|each| each.input);
    let expected = Some(proto::left_out::Input::ComponentIndex(1));
    assert_eq!(named.collect::<Vec<_>>(), [expected]);
    adapter.close(Duration::from_secs(1));
}

#[test]
fn of_two_services_either_may_die_or_freeze() {
    let Some(program) = program() else { return };
    let mut first = Service::start(&program, &SLOW);
    let second = Service::start(&program, &FAKE);
    let adapter = adapter(&[&first, &second]);
    warm_up(&adapter);
    submit_and_begin(&adapter, 2, &first);
    first.kill();
    let results = take(&adapter, 2, Duration::from_secs(29));
    assert!(results[0].proof().is_some(), "{results:?}");
    assert_eq!(results[0].endpoint.as_deref(), Some(&*second.endpoint()));

    first.start_again();
    wait_until("the first again", Duration::from_secs(60), || {
        submit(&adapter, 3, &options(30)).unwrap();
        let results = take(&adapter, 3, Duration::from_secs(29));
        results[0].endpoint.as_deref() == Some(&*first.endpoint())
    });
    submit_and_begin(&adapter, 4, &first);
    first.signal("-STOP");
    let frozen_at = Instant::now();
    let results = take(&adapter, 4, Duration::from_secs(29));
    println!("proved {:?} after the freeze", frozen_at.elapsed());
    assert!(results[0].proof().is_some(), "{results:?}");
    assert_eq!(results[0].endpoint.as_deref(), Some(&*second.endpoint()));
    // From now on the frozen one is known: nothing waits for it.
    let resubmitted = adapter.stats().resubmitted;
    submit(&adapter, 5, &options(30)).unwrap();
    let results = take(&adapter, 5, Duration::from_secs(29));
    assert_eq!(adapter.stats().resubmitted, resubmitted);
    assert_eq!(results[0].endpoint.as_deref(), Some(&*second.endpoint()));
    first.signal("-CONT");
    assert_eq!(adapter.stats().lost_groups, 0);
    adapter.close(Duration::from_secs(1));
}

#[test]
fn closing_cancels_what_is_in_flight() {
    let Some(program) = program() else { return };
    let service = Service::start(&program, &SLOW);
    // By the service.
    let skips = Arc::new(Mutex::new(Vec::new()));
    let adapter = || {
        let skips = skips.clone();
        let on_skip = move |skip: &Skip| {
            if skip.request_id.is_some() {
                skips.lock().unwrap().push(skip.reason);
            }
        };
        // One epoch for both: a later one ends what an earlier one has in flight.
        Aggregator::builder()
            .node_id("rust-node")
            .node_epoch(1)
            .endpoint(service.endpoint())
            .on_skip(on_skip)
            .build()
            .unwrap()
    };
    let first = adapter();
    warm_up(&first);
    submit_and_begin(&first, 2, &service);
    let start = Instant::now();
    first.close(Duration::ZERO);
    assert!(start.elapsed() < Duration::from_secs(2));
    let results = first.take_results(2);
    let mut endings = results.iter().map(|result| &result.ending);
    assert!(
        endings.all(|ending| matches!(ending, Ending::Lost)),
        "{results:?}"
    );
    assert!(submit(&first, 3, &options(30)).is_err());
    // Of the start, when the service was not ready yet.
    skips.lock().unwrap().clear();
    // The service would skip the next submission of the node if the first were still in flight.
    let second = adapter();
    wait_until("the next proof", Duration::from_secs(60), || {
        // Again, where the service has no prover for a moment.
        let _ = submit(&second, 3, &options(30));
        let skips = skips.lock().unwrap();
        assert!(!skips.contains(&SkipReason::InFlight), "{skips:?}");
        drop(skips);
        let results = second.take_results(3);
        results.iter().any(|result| result.proof().is_some())
    });
    second.close(Duration::from_secs(1));
}

#[test]
fn real_signatures_become_a_real_proof() {
    let Some(program) = program() else { return };
    if std::env::var_os("LEANAGG_REAL_PROVER").is_none() {
        eprintln!("skipped: set LEANAGG_REAL_PROVER=1 to prove for real, which takes a minute");
        return;
    }
    let service = Service::start(&program, &["--standby", "0"]);
    let adapter = adapter(&[&service]);
    let snapshot = real_snapshot();
    wait_until("a real proof", Duration::from_secs(120), || {
        let made = || Ok::<_, String>(Some(snapshot.clone()));
        let options = options(30);
        if adapter
            .submit_or_skip(101, Gates::OPEN, made, &options)
            .is_err()
        {
            sleep(Duration::from_millis(500));
            return false;
        }
        let mut results = Vec::new();
        let start = Instant::now();
        while results.is_empty() && start.elapsed() < Duration::from_secs(31) {
            results = adapter.take_results(101);
            sleep(Duration::from_millis(20));
        }
        let proof = results.iter().find_map(TickResult::proof);
        proof.is_some_and(|proof| proof.bytes.len() > 1000 && proof.participants[..] == [0xff])
    });
    adapter.close(Duration::from_secs(1));
}

/// Eight real signatures of one message of `test/vectors/xmss`.
fn real_snapshot() -> proto::Snapshot {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../test/vectors/xmss");
    let text_of = std::fs::read_to_string(folder.join("vectors.json")).unwrap();
    let vectors: serde_json::Value = serde_json::from_str(&text_of).unwrap();
    let signatures = std::fs::read(folder.join("signatures.bin")).unwrap();
    let group = &vectors["groups"][0];
    let point = |point: &serde_json::Value| {
        Some(proto::Checkpoint {
            root: hex(text(point, "root")).into(),
            slot: number(point, "slot"),
        })
    };
    let data = &group["data"];
    let (size, offset) = (
        number(&vectors, "signatureBytes") as usize,
        number(group, "signaturesOffset") as usize,
    );
    let validators = numbers(group, "validators").into_iter().take(8);
    let raw_signatures = validators.enumerate().map(|(index, validator)| {
        let start = offset + index * size;
        proto::RawSignature {
            validator_index: validator as u32,
            signature: signatures[start..start + size].to_vec().into(),
        }
    });
    let keys = vectors["validators"].as_array().unwrap().iter().take(8);
    let keys = keys.map(|key| proto::ValidatorKey {
        validator_index: number(key, "index") as u32,
        public_key: hex(text(key, "publicKey")).into(),
        ..Default::default()
    });
    proto::Snapshot {
        head: point(&data["head"]),
        justified: point(&data["target"]),
        keys: keys.collect(),
        groups: vec![proto::Group {
            data: Some(proto::AttestationData {
                slot: number(data, "slot"),
                head: point(&data["head"]),
                target: point(&data["target"]),
                source: point(&data["source"]),
            }),
            message: hex(text(group, "root")).into(),
            raw_signatures: raw_signatures.collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}
