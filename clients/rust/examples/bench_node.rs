//! The node of the adapters' bench (`make adapters`) in Rust. It prints lines of JSON, as the nodes in
//! TypeScript and Go do.
//!
//! `bench_node tick COUNT ENDPOINT`: COUNT submissions of each size; prints what the calls took.
//! `bench_node votes ENDPOINT ENDPOINT`: one group every 250 ms until its input ends; prints how each
//! ended.

use std::convert::Infallible;
use std::io::Read;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lean_aggregator_client::machine::Gates;
use lean_aggregator_client::{proto, Aggregator, Ending, SubmitOptions};

const SIGNATURE_BYTES: usize = 2536;
const KEY_BYTES: usize = 52;
const VOTES: u32 = 4;
const SUBMIT_EVERY: Duration = Duration::from_millis(250);
const TICKS: u32 = 25;
const FENCE: Duration = Duration::from_secs(6);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["tick", count, endpoint] if count.parse::<usize>().is_ok_and(|count| count > 0) => {
            tick(count.parse().unwrap_or(1), endpoint);
        }
        ["votes", ref endpoints @ ..] if !endpoints.is_empty() => votes(endpoints),
        _ => {
            eprintln!("usage: bench_node tick COUNT ENDPOINT | votes ENDPOINT…");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn connect(endpoints: &[&str]) -> Aggregator {
    let builder = Aggregator::builder().node_id("bench-node");
    let builder = endpoints
        .iter()
        .fold(builder, |builder, endpoint| builder.endpoint(*endpoint));
    let adapter = builder.build().expect("the endpoints are addresses");
    sleep(Duration::from_millis(500));
    adapter
}

fn tick(count: usize, endpoint: &str) {
    let adapter = connect(&[endpoint]);
    let options = SubmitOptions {
        fence: Some(FENCE),
        may_replace: true,
        ..SubmitOptions::default()
    };
    for signatures in [8, 400] {
        let template = snapshot(1, signatures);
        let mut times = Vec::with_capacity(count);
        let mut waits = Vec::with_capacity(count);
        let mut skipped = 0;
        while times.len() < count {
            // The clone shares the bytes, as a node's own `Bytes` would.
            let made = || Ok::<_, Infallible>(Some(template.clone()));
            let waited_before = waited_for_a_core();
            let start = Instant::now();
            let answer = adapter.submit_or_skip(1, Gates::OPEN, made, &options);
            let took = start.elapsed();
            times.push(took);
            waits.push((took, waited_for_a_core().saturating_sub(waited_before)));
            skipped += usize::from(answer.is_err());
            adapter.take_results(1);
            sleep(SUBMIT_EVERY / 10);
        }
        times.sort();
        waits.sort();
        // Of the slowest hundredth, how much was waiting and no work of the adapter.
        let slow = &waits[count * 99 / 100..];
        let share = |of: Duration, all: Duration| of.as_secs_f64() / all.as_secs_f64().max(1e-9);
        let waited = slow.iter().map(|(_, waited)| *waited).sum::<Duration>();
        let slow_took = slow.iter().map(|(took, _)| *took).sum::<Duration>();
        let millis = |at: usize| times[at].as_secs_f64() * 1000.0;
        println!(
            "{{\"bytes\":{},\"count\":{count},\"skipped\":{skipped},\"p50Ms\":{},\"p99Ms\":{},\"slowestWaited\":{}}}",
            signatures as usize * SIGNATURE_BYTES,
            millis(count / 2),
            millis(count * 99 / 100),
            share(waited, slow_took),
        );
    }
    adapter.close(Duration::ZERO);
}

/// How long this thread has been ready to run without a core; zero where Linux does not say.
fn waited_for_a_core() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text
        .split_whitespace()
        .nth(1)
        .and_then(|each| each.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn votes(endpoints: &[&str]) {
    let adapter = connect(endpoints);
    let is_ending = Arc::new(AtomicBool::new(false));
    let ending = is_ending.clone();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ending.store(true, Ordering::Relaxed);
    });
    let options = SubmitOptions {
        fence: Some(FENCE),
        ..SubmitOptions::default()
    };
    let mut slot = 0;
    while !is_ending.load(Ordering::Relaxed) {
        slot += 1;
        let made = || Ok::<_, Infallible>(Some(snapshot(slot, VOTES)));
        match adapter.submit_or_skip(slot, Gates::OPEN, made, &options) {
            Ok(_) => println!("{{\"kind\":\"submitted\"}}"),
            Err(skip) => println!("{{\"kind\":\"skipped\",\"reason\":\"{:?}\"}}", skip.reason),
        }
        for _ in 0..TICKS {
            sleep(SUBMIT_EVERY / TICKS);
            take(&adapter, slot);
        }
    }
    adapter.close(FENCE);
    take(&adapter, slot);
}

fn take(adapter: &Aggregator, slot: u64) {
    for result in adapter.take_results(slot) {
        let kind = match &result.ending {
            Ending::Outcome(outcome) if !outcome.proof.is_empty() => "proved".to_owned(),
            other => format!("{other:?}")
                .chars()
                .take_while(|c| c.is_alphabetic())
                .collect(),
        };
        let endpoint = result.endpoint.as_deref().unwrap_or("");
        println!("{{\"kind\":\"{kind}\",\"endpoint\":\"{endpoint}\"}}");
    }
}

fn snapshot(slot: u64, signatures: u32) -> proto::Snapshot {
    let checkpoint = Some(proto::Checkpoint {
        root: vec![1; 32].into(),
        slot,
    });
    let key = |validator_index: u32| {
        let mut public_key = vec![0; KEY_BYTES];
        public_key[..4].copy_from_slice(&validator_index.to_le_bytes());
        proto::ValidatorKey {
            validator_index,
            public_key: public_key.into(),
            ..Default::default()
        }
    };
    let raw = |validator_index: u32| proto::RawSignature {
        validator_index,
        signature: vec![7; SIGNATURE_BYTES].into(),
    };
    proto::Snapshot {
        head: checkpoint.clone(),
        justified: checkpoint.clone(),
        keys: (0..signatures).map(key).collect(),
        groups: vec![proto::Group {
            data: Some(proto::AttestationData {
                slot,
                head: checkpoint.clone(),
                target: checkpoint.clone(),
                source: checkpoint,
            }),
            raw_signatures: (0..signatures).map(raw).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}
