//! Holds the committed message types against the proto file of the repository.
//!
//! `UPDATE_GENERATED=1 cargo test --test generated` writes them anew. No protoc is needed.
#![cfg(feature = "client")]

use std::path::Path;
use std::{env, fs};

#[test]
fn the_committed_messages_are_those_of_the_proto_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let include = root.join("../../proto");
    let file = include.join("lean/aggregator/v1/aggregator.proto");
    if !file.exists() {
        eprintln!("skipped: {} is not there", file.display());
        return;
    }
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    fs::create_dir_all(&out).unwrap();
    let descriptors = protox::compile([&file], [&include]).unwrap();
    prost_build::Config::new()
        .bytes(["."])
        .out_dir(&out)
        .compile_fds(descriptors)
        .unwrap();
    let generated = fs::read_to_string(out.join("lean.aggregator.v1.rs")).unwrap();
    let committed = root.join("src/proto/lean.aggregator.v1.rs");
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::write(&committed, &generated).unwrap();
    }
    assert!(
        fs::read_to_string(&committed).unwrap_or_default() == generated,
        "{} is old: run UPDATE_GENERATED=1 cargo test --test generated",
        committed.display()
    );
}
