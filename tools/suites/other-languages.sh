#!/usr/bin/env bash
# The suites of the adapters in Go and Rust. One that has no toolchain here, or no folder, is skipped
# with a line that says so. Fails when a suite that ran has failed.
set -uo pipefail
cd "$(dirname "$0")/../.."

failed=0

# Runs a command in a folder: run FOLDER COMMAND…
run() {
  local folder=$1
  shift
  echo "== $folder: $*"
  (cd "$folder" && "$@") || {
    echo "== $folder: FAILED: $*"
    failed=1
  }
}

# Says whether a suite can run: can LANGUAGE FOLDER PROGRAM
can() {
  if [ ! -d "$2" ]; then
    echo "== $1: skipped, there is no $2"
  elif ! command -v "$3" > /dev/null; then
    echo "== $1: skipped, there is no $3 on the PATH"
  else
    return 0
  fi
  return 1
}

# With it, the suites also run against the service that is built here.
[ ! -f dist/cli/main.js ] || export LEANAGG_SERVICE=$PWD/dist/cli/main.js

if can Go clients/go go; then
  run clients/go go vet ./...
  run clients/go go test -race ./...
  # What depends on the order in which goroutines run, a few times more.
  run clients/go go test -race -count=4 -run 'Endpoint|Service|Lost|Close|Goroutines' .
fi

# Says whether a part of the Rust toolchain is there: has CARGO-COMMAND HOW-TO-INSTALL
has() {
  cargo "$1" --version > /dev/null 2>&1 && return 0
  echo "== Rust: skipped cargo $1, which is not installed: $2"
  return 1
}

if can Rust clients/rust cargo; then
  all=(--locked --workspace --all-features)
  run clients/rust cargo test "${all[@]}"
  run clients/rust cargo check --locked -p lean-aggregator-client --no-default-features
  command -v cbindgen > /dev/null ||
    echo "== Rust: skipped the comparison of the C header, there is no cbindgen: cargo install cbindgen"
  has clippy "rustup component add clippy" &&
    run clients/rust cargo clippy "${all[@]}" --all-targets -- -D warnings
  has fmt "rustup component add rustfmt" && run clients/rust cargo fmt --all --check
  if has deny "cargo install cargo-deny"; then
    deny=(cargo deny check --hide-inclusion-graph)
    run clients/rust "${deny[@]}" bans licenses sources
    if (cd clients/rust && cargo deny fetch db > /dev/null 2>&1); then
      run clients/rust "${deny[@]}" advisories
    else
      echo "== Rust: skipped cargo deny check advisories, whose database cannot be fetched"
    fi
  fi
fi

exit "$failed"
