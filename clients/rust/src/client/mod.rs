//! The shell: connections, a runtime thread, and the calls of a node's tick.

mod aggregator;
mod body;
mod builder;
mod clock;
mod codec;
mod connection;
mod encode;
mod hooks;
mod merge;
mod metrics;
mod options;
mod ownerless;
mod report;
mod runtime;
mod shared;
mod status;
mod stream;
mod submitter;
mod token;
mod votes;

pub use aggregator::{Aggregator, Ready};
pub use body::{BodyCandidate, BodyComponent, BodyOffer, BodyOptions, FinishedBody};
#[cfg(feature = "tls")]
pub use builder::Tls;
pub use builder::{BuildError, Builder};
pub use merge::{Component, Merge, MergeOptions, Message, Signers};
pub use metrics::Stats;
pub use options::{
    Ending, InFlightGroup, Problem, Proof, Skip, Step, SubmitOptions, TickResult, Unreachable,
};
pub use votes::VoteFate;
