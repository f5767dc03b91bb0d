#!/usr/bin/env bash
# Changes the machine of the Rust adapter in every way that cargo-mutants knows, in a copy, and says
# which changes its vectors and properties do not find. clients/rust/.cargo/mutants.toml says which files
# are changed and which tests run. Arguments go to cargo-mutants: --shard 1/8, --file src/machine/tries.rs
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo mutants --version > /dev/null 2>&1 || {
  echo "mutate-rust: there is no cargo-mutants: cargo install --locked cargo-mutants" >&2
  exit 1
}
mkdir -p out
export LEANAGG_VECTORS=$PWD/test/vectors
cd clients/rust
exec cargo mutants --package lean-aggregator-client --jobs 1 --output ../../out/mutants-rust "$@"
