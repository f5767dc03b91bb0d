//! The events that the machine takes.

use alloc::sync::Arc;
use alloc::vec::Vec;

/// The node's name for a submission: 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
pub type RequestId = Arc<str>;

/// Milliseconds of one monotonic clock of the node.
pub type Millis = u64;

/// The index of an endpoint in the node's order of preference.
pub type EndpointIndex = usize;

/// Priorities of submissions, highest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// For a block that the node proposes.
    Proposal,
    /// For the node's duty as aggregator.
    Aggregation,
    /// For older votes; yields to the others.
    Backlog,
}

/// What the groups of a submission become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProofKind {
    /// Proofs of one message each.
    #[default]
    Aggregate,
    /// Proofs of several messages.
    Merge,
}

/// Names an in-flight latch: each priority has one for each kind of proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Latch {
    /// The priority of the submission.
    pub priority: Priority,
    /// What its groups become.
    pub proof_kind: ProofKind,
}

impl From<Priority> for Latch {
    /// The latch of the priority's votes.
    fn from(priority: Priority) -> Self {
        Latch {
            priority,
            proof_kind: ProofKind::Aggregate,
        }
    }
}

/// Why a snapshot was not submitted or not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// The node is no aggregator.
    NotAggregator,
    /// The node said that it is not synced.
    NotSynced,
    /// The node lacks the state that the snapshot is made from.
    MissingState,
    /// The node wants no new aggregation now.
    Paused,
    /// A submission of the same priority and kind of proof is in flight.
    InFlight,
    /// No endpoint can be reached, or none answered in time.
    Unreachable,
    /// The snapshot function had nothing to submit.
    NothingToSubmit,
    /// The snapshot function failed or panicked.
    SnapshotThrew,
    /// The snapshot cannot be encoded, or the service refused the call with an error that a retry would meet.
    Invalid,
    /// No group could have been proved in time.
    PredictedMiss,
    /// The service shuts down, or the adapter is closing.
    Draining,
    /// The service has too much to do, or a quota is used up.
    Overloaded,
    /// The service has no prover that is ready.
    NoProver,
}

impl SkipReason {
    /// Every reason, in the order of PROTOCOL.md.
    pub const ALL: [SkipReason; 13] = [
        SkipReason::NotAggregator,
        SkipReason::NotSynced,
        SkipReason::MissingState,
        SkipReason::Paused,
        SkipReason::InFlight,
        SkipReason::Unreachable,
        SkipReason::NothingToSubmit,
        SkipReason::SnapshotThrew,
        SkipReason::Invalid,
        SkipReason::PredictedMiss,
        SkipReason::Draining,
        SkipReason::Overloaded,
        SkipReason::NoProver,
    ];

    /// The name in metrics, logs and vectors, for example `not_aggregator`.
    pub const fn name(self) -> &'static str {
        match self {
            SkipReason::NotAggregator => "not_aggregator",
            SkipReason::NotSynced => "not_synced",
            SkipReason::MissingState => "missing_state",
            SkipReason::Paused => "paused",
            SkipReason::InFlight => "in_flight",
            SkipReason::Unreachable => "unreachable",
            SkipReason::NothingToSubmit => "nothing_to_submit",
            SkipReason::SnapshotThrew => "snapshot_threw",
            SkipReason::Invalid => "invalid",
            SkipReason::PredictedMiss => "predicted_miss",
            SkipReason::Draining => "draining",
            SkipReason::Overloaded => "overloaded",
            SkipReason::NoProver => "no_prover",
        }
    }

    /// The reason with this name; `None` for an unknown name.
    pub fn from_name(name: &str) -> Option<SkipReason> {
        SkipReason::ALL
            .into_iter()
            .find(|reason| reason.name() == name)
    }
}

impl core::fmt::Display for SkipReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// What the node knows about itself at this tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gates {
    /// The node is an aggregator.
    pub is_aggregator: bool,
    /// Whether the node is synced. `None`: not checked. A network with one aggregator deadlocked
    /// because of this check.
    pub is_synced: Option<bool>,
    /// The node has the state that the snapshot is made from.
    pub has_state: bool,
    /// The node wants no new aggregation now, for example just before its own proposal.
    pub is_paused: bool,
}

impl Gates {
    /// Gates that are open: an aggregator with its state, not paused, sync not checked.
    pub const OPEN: Gates = Gates {
        is_aggregator: true,
        is_synced: None,
        has_state: true,
        is_paused: false,
    };
}

/// When a proof becomes worthless: at an instant, or from a slot on, whichever comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The instant of the fence, which is itself past it.
    pub at_ms: Millis,
    /// A proof is worthless from this slot of the node on. `None`: only time decides.
    pub slot: Option<u64>,
}

/// A snapshot that the node submits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The request id, new for each submission.
    pub request_id: RequestId,
    /// The latch that the submission closes.
    pub latch: Latch,
    /// Slot in which the node submits.
    pub slot: u64,
    /// Number of groups, at least 1.
    pub groups: usize,
    /// Size of the frozen request in bytes.
    pub bytes: usize,
    /// After this instant no proof starts.
    pub deadline_at_ms: Millis,
    /// When the proofs become worthless.
    pub fence: Fence,
    /// No result of the request is taken before this instant. 0: at once.
    pub hold_until_ms: Millis,
}

/// What a service can do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// Snapshots are accepted.
    Ready,
    /// No prover is ready.
    NoProver,
    /// The service shuts down.
    Draining,
}

/// How one group ended at a service. The machine never looks into the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireOutcome<P> {
    /// The endpoint whose stream had the outcome.
    pub endpoint: EndpointIndex,
    /// The request.
    pub request_id: RequestId,
    /// Index of the group in the snapshot.
    pub group_index: usize,
    /// Root of the attestation data. Empty for a merge, which is never a duplicate.
    pub message: Vec<u8>,
    /// The outcome has a proof, or had one that is erased.
    pub is_proof: bool,
    /// The proof was made after the deadline.
    pub is_late: bool,
    /// The service has erased the proof's bytes at its fence.
    pub is_erased: bool,
    /// Not started, or stopped, because the service shuts down.
    pub is_drained: bool,
    /// Validator i is bit i % 8 of byte i / 8, from the lowest bit; no length bit.
    pub participants: Vec<u8>,
    /// What the node gets.
    pub payload: P,
}

/// Names one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRef {
    /// The request.
    pub request_id: RequestId,
    /// Index of the group in the snapshot.
    pub group_index: usize,
    /// Slot of the submission.
    pub slot: u64,
    /// The endpoint whose service ended the group; `None` when the adapter did.
    pub endpoint: Option<EndpointIndex>,
}

/// Whether a service knows a request that the stream's request named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitedState {
    /// The request.
    pub request_id: RequestId,
    /// False: the request never arrived there, or is forgotten.
    pub is_known: bool,
}

/// What happens to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<P> {
    /// May a snapshot be submitted now? The answer is one effect, `Go` or `Skip`.
    Ask {
        /// The node's slot.
        slot: u64,
        /// What the node knows about itself.
        gates: Gates,
        /// The latch that the submission would close.
        latch: Latch,
        /// The submission replaces one in flight at its latch.
        may_replace: bool,
    },
    /// The node has made a snapshot, and the shell has frozen it.
    Submitted(Submission),
    /// A service accepted the submission.
    Accepted {
        /// The request.
        request_id: RequestId,
        /// The endpoint that answered.
        endpoint: EndpointIndex,
        /// Names the service over all its runs.
        service_id: Arc<str>,
        /// The sending of the try that was answered, plus the answer's `fence_ms`.
        fence_at_ms: Millis,
    },
    /// A service skipped the submission, or refused the call with an error that a retry would meet.
    Refused {
        /// The request.
        request_id: RequestId,
        /// The endpoint that answered.
        endpoint: EndpointIndex,
        /// Why.
        reason: SkipReason,
    },
    /// A try had no answer.
    Failed {
        /// The request.
        request_id: RequestId,
        /// The endpoint that was called.
        endpoint: EndpointIndex,
        /// The try's time limit passed. False: no connection, or it broke.
        is_timeout: bool,
    },
    /// A result stream is about to be opened. The answer is one effect, `Await`.
    Opening {
        /// The endpoint.
        endpoint: EndpointIndex,
    },
    /// A result stream is up.
    Opened {
        /// The endpoint.
        endpoint: EndpointIndex,
        /// Names the service over all its runs.
        service_id: Arc<str>,
        /// What the service can do now.
        state: ServiceState,
        /// One entry for each request that the stream's request named.
        awaited: Vec<AwaitedState>,
    },
    /// What a service can do has changed.
    Status {
        /// The endpoint.
        endpoint: EndpointIndex,
        /// What the service can do now.
        state: ServiceState,
    },
    /// A result stream broke, or an attempt to open one failed.
    Disconnected {
        /// The endpoint.
        endpoint: EndpointIndex,
        /// Nothing arrived for longer than is allowed.
        is_silent: bool,
    },
    /// A group ended at a service.
    Outcome(WireOutcome<P>),
    /// A service has ended the request.
    Summary {
        /// The endpoint.
        endpoint: EndpointIndex,
        /// The request.
        request_id: RequestId,
        /// From the service's receipt to its last outcome.
        duration_ms: Millis,
    },
    /// The node's own verification of a proof has ended.
    Verified {
        /// The group, as in `Verify`.
        group: GroupRef,
        /// The proof is valid.
        is_valid: bool,
    },
    /// The node no longer wants these groups.
    Cancel {
        /// The request.
        request_id: RequestId,
        /// Indices of the groups. `None`: all groups of the request.
        groups: Option<Vec<usize>>,
    },
    /// The node takes its results. What it does not ask for stays.
    Take {
        /// The node's slot.
        slot: u64,
        /// The results of these requests only. `None`: of all.
        requests: Option<Vec<RequestId>>,
        /// At most so many, the oldest first. `None`: all.
        max: Option<usize>,
    },
    /// Nothing but the passing of time.
    Tick,
    /// The adapter submits nothing more.
    Closing,
    /// The adapter gives up what has not ended.
    Closed,
}
