//! The shell: connections, a runtime thread, and the calls of a node's tick.

mod aggregator;
mod builder;
mod clock;
mod codec;
mod connection;
mod encode;
mod hooks;
mod merge;
mod metrics;
mod options;
mod runtime;
mod shared;
mod status;
mod stream;
mod token;
mod votes;

pub use aggregator::{Aggregator, Ready};
#[cfg(feature = "tls")]
pub use builder::Tls;
pub use builder::{BuildError, Builder};
pub use merge::{Component, Merge, MergeOptions, Message, Signers};
pub use metrics::Stats;
pub use options::{
    Ending, InFlightGroup, Problem, Proof, Skip, Step, SubmitOptions, TickResult, Unreachable,
};
pub use votes::VoteFate;
