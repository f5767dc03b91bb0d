//! The adapter between a node's tick loop and a lean-aggregator service.
//!
//! A node of lean consensus freezes the votes that it wants aggregated, hands them to
//! [`Aggregator::submit_or_skip`] and goes on; verified proofs come back by
//! [`Aggregator::take_results`]. No call from a tick waits for I/O. The module [`machine`] has the
//! rules alone, without clock, I/O or standard library.
#![cfg_attr(not(feature = "client"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod bits;
pub mod machine;
pub mod slot;

#[cfg(feature = "client")]
mod client;

#[cfg(feature = "client")]
pub use client::*;

/// The messages of `lean.aggregator.v1`, whose proto file documents them. `bytes` fields are
/// [`bytes::Bytes`]: a node that has its signatures in a `Vec` moves them in.
#[cfg(feature = "client")]
#[allow(missing_docs, clippy::all)]
#[rustfmt::skip]
pub mod proto {
    include!("proto/lean.aggregator.v1.rs");
}

/// The example of the README compiles.
#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../README.md")]
struct Readme;
