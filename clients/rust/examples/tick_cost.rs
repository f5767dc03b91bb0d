//! Prints what a submission costs the tick: 2000 of about 20 KB and of 1 MB.
//!
//! `cargo run --release --example tick_cost -- ENDPOINT [PROVING_NODE]`. With a second argument,
//! another node keeps the service busy meanwhile.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lean_aggregator_client::machine::Gates;
use lean_aggregator_client::{proto, Aggregator, SubmitOptions};

const COUNT: usize = 2000;
const SIGNATURE_BYTES: usize = 2536;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let endpoint = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:9190".to_owned());
    let is_busy = Arc::new(AtomicBool::new(arguments.next().is_some()));
    let beside = is_busy.load(Ordering::Relaxed).then(|| {
        let (endpoint, is_busy) = (endpoint.clone(), is_busy.clone());
        std::thread::spawn(move || keep_busy(&endpoint, &is_busy))
    });
    let adapter = connect(&endpoint, "bench");
    for signatures in [8, 400] {
        measure(&adapter, signatures);
    }
    is_busy.store(false, Ordering::Relaxed);
    adapter.close(Duration::from_millis(500));
    if let Some(thread) = beside {
        let _ = thread.join();
    }
}

fn connect(endpoint: &str, node_id: &str) -> Aggregator {
    let builder = Aggregator::builder().endpoint(endpoint).node_id(node_id);
    let adapter = builder.build().expect("the endpoint is an address");
    sleep(Duration::from_millis(500));
    adapter
}

fn options() -> SubmitOptions {
    SubmitOptions {
        deadline: Some(Duration::from_secs(2)),
        fence: Some(Duration::from_secs(4)),
        may_replace: true,
        ..SubmitOptions::default()
    }
}

fn measure(adapter: &Aggregator, signatures: u32) {
    let mut times = Vec::with_capacity(COUNT);
    let mut skipped = 0;
    let template = snapshot(signatures);
    for slot in 0..COUNT as u64 {
        // A node makes its snapshot anew; the clone shares the bytes, as a node's `Bytes` would.
        let snapshot = template.clone();
        let made = || Ok::<_, Infallible>(Some(snapshot));
        let start = Instant::now();
        let answer = adapter.submit_or_skip(slot, Gates::OPEN, made, &options());
        times.push(start.elapsed());
        skipped += usize::from(answer.is_err());
        adapter.take_results(slot);
        sleep(Duration::from_millis(5));
    }
    times.sort();
    let bytes = signatures as usize * SIGNATURE_BYTES;
    println!(
        "{bytes} bytes: p50 {:?}, p99 {:?}, max {:?}, {skipped} skipped",
        times[COUNT / 2],
        times[COUNT * 99 / 100],
        times[COUNT - 1]
    );
}

fn keep_busy(endpoint: &str, is_busy: &AtomicBool) {
    let adapter = connect(endpoint, "busy");
    let mut slot = 0;
    while is_busy.load(Ordering::Relaxed) {
        slot += 1;
        let made = || Ok::<_, Infallible>(Some(snapshot(8)));
        let _ = adapter.submit_or_skip(slot, Gates::OPEN, made, &options());
        adapter.take_results(slot);
        sleep(Duration::from_millis(100));
    }
    adapter.close(Duration::ZERO);
}

fn snapshot(signatures: u32) -> proto::Snapshot {
    let checkpoint = Some(proto::Checkpoint {
        root: vec![1; 32].into(),
        slot: 1,
    });
    let key = |validator_index: u32| {
        let mut public_key = vec![0; 52];
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
                slot: 1,
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
