//! What a node passes in a tick, and what it gets back.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::machine::{Priority, RequestId, SkipReason};
use crate::proto;

/// Options of one submission. `SubmitOptions::default()` is this slot's aggregation.
#[derive(Clone, Debug)]
pub struct SubmitOptions {
    /// A snapshot is skipped while one of the same priority is in flight.
    pub priority: Priority,
    /// Time in which the service may start a proof. `None`: the adapter's; of backlog, until the fence.
    pub deadline: Option<Duration>,
    /// Time until the proofs are worthless. `None`: until slot N + 2, by the adapter's slot times.
    pub fence: Option<Duration>,
    /// Replace the snapshot in flight at this priority, instead of being skipped.
    pub may_replace: bool,
    /// Whether the service may prove a part of a group.
    pub may_be_partial: bool,
    /// Fewest inputs of a group that are worth a proof. 0: one.
    pub min_inputs: u32,
    /// What a vote is worth by when, at most 8. `None`: as [`SlotTimes::steps`](crate::slot::SlotTimes::steps)
    /// says, where the adapter has slot times. Empty: 1 until the fence.
    pub steps: Option<Vec<Step>>,
    /// Results are taken only after this time.
    pub hold: Duration,
    /// The W3C header `traceparent` of the node's trace, of which the service's spans become a part. It goes
    /// with each try. One that is no header is not sent.
    pub traceparent: Option<String>,
}

impl Default for SubmitOptions {
    fn default() -> Self {
        SubmitOptions {
            priority: Priority::Aggregation,
            deadline: None,
            fence: None,
            may_replace: false,
            may_be_partial: true,
            min_inputs: 0,
            steps: None,
            hold: Duration::ZERO,
            traceparent: None,
        }
    }
}

impl SubmitOptions {
    /// Options for the votes of earlier slots: they yield to this slot's, and may start until the fence.
    pub fn backlog() -> Self {
        SubmitOptions {
            priority: Priority::Backlog,
            ..SubmitOptions::default()
        }
    }
}

/// A time after the submission until which a vote is worth this much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Time after the submission.
    pub until: Duration,
    /// Worth of a vote, relative to the other steps; 1 to 1000000.
    pub weight: u32,
}

/// Why a snapshot was not submitted, or not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The request; `None` when nothing was submitted.
    pub request_id: Option<RequestId>,
    /// The reason, which the metrics count.
    pub reason: SkipReason,
    /// Explanation for people; may be empty.
    pub detail: String,
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "snapshot skipped: {}", self.reason)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Skip {}

/// How one group ended. Each group of an accepted request ends once.
#[derive(Clone, Debug)]
pub struct TickResult {
    /// The request, as `submit_or_skip` returned it.
    pub request_id: RequestId,
    /// Index of the group in the snapshot.
    pub group_index: usize,
    /// Slot of the submission.
    pub slot: u64,
    /// The endpoint whose service ended the group; `None` when the adapter did.
    pub endpoint: Option<Arc<str>>,
    /// How it ended.
    pub ending: Ending,
}

/// How one group ended for the node, which acts on `Outcome` only: votes that are in no proof go
/// into its next snapshot.
#[derive(Clone, Debug)]
pub enum Ending {
    /// As the service reported. `TickResult::proof` says whether it has a proof.
    Outcome(Arc<proto::Outcome>),
    /// An earlier proof of the same slot and root has all participants of this one.
    Duplicate,
    /// The verify hook did not accept the proof.
    Refused,
    /// The node cancelled the group.
    Cancelled,
    /// No service will end the group before its fence.
    Lost,
}

impl Ending {
    /// `outcome`, `duplicate`, `refused`, `cancelled` or `lost`.
    pub fn name(&self) -> &'static str {
        match self {
            Ending::Outcome(_) => "outcome",
            Ending::Duplicate => "duplicate",
            Ending::Refused => "refused",
            Ending::Cancelled => "cancelled",
            Ending::Lost => "lost",
        }
    }
}

/// A proof and exactly the validators that it covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The proof, in the prover's encoding.
    pub bytes: Bytes,
    /// The validators, as bits or as an SSZ bitlist, whichever the snapshot has.
    pub participants: Bytes,
}

impl TickResult {
    /// The outcome of the service; `None` for the other endings.
    pub fn outcome(&self) -> Option<&proto::Outcome> {
        match &self.ending {
            Ending::Outcome(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// The proof; `None` when the group ended without one. Copies no bytes.
    pub fn proof(&self) -> Option<Proof> {
        let outcome = self.outcome()?;
        is_proved(outcome).then(|| Proof {
            bytes: outcome.proof.clone(),
            participants: outcome.participants.clone(),
        })
    }
}

/// Whether the group was proved, also when the proof's bytes are erased.
pub(super) fn is_proved(outcome: &proto::Outcome) -> bool {
    matches!(
        outcome.status(),
        proto::OutcomeStatus::Proved | proto::OutcomeStatus::ProvedLate
    )
}

/// A group of votes that has not ended, for the predicate of `cancel_where`.
#[derive(Clone, Copy, Debug)]
pub struct InFlightGroup<'a> {
    /// The request.
    pub request_id: &'a RequestId,
    /// Index of the group in the snapshot.
    pub group_index: usize,
    /// Slot of the submission.
    pub slot: u64,
    /// Priority of the submission.
    pub priority: Priority,
    /// What the group's votes say; `None` if the snapshot has none.
    pub data: Option<&'a proto::AttestationData>,
}

/// No service can be reached, so that the node may decide to prove by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Slot of the submission.
    pub slot: u64,
    /// The request that no service answered; `None` when nothing was submitted.
    pub request_id: Option<RequestId>,
}

/// What the operator of the node should know; the adapter goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Several services answer at this endpoint: give each its own name.
    EndpointIsBalanced {
        /// The endpoint, as given.
        endpoint: Arc<str>,
    },
    /// Another process calls with this node's id and a later epoch.
    NodeIdInUse {
        /// The endpoint, as given.
        endpoint: Arc<str>,
        /// The service's message.
        message: String,
    },
    /// The service refuses the snapshot, and every later one will get this answer again.
    Invalid {
        /// The endpoint, as given.
        endpoint: Arc<str>,
        /// The service's message.
        message: String,
    },
    /// The endpoint cannot be reached. Reported once for each reason, until its result stream opens.
    Unreachable {
        /// The endpoint, as given.
        endpoint: Arc<str>,
        /// Why, with the causes.
        message: String,
    },
    /// The node's token cannot be sent: its calls are made to no service.
    Token {
        /// Why.
        message: String,
    },
    /// A closure of the node panicked.
    HookPanicked {
        /// The closure, for example `verify`.
        hook: &'static str,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::EndpointIsBalanced { endpoint } => write!(
                f,
                "endpoint_is_balanced: several services answer at {endpoint}; \
                 give each service its own endpoint"
            ),
            Problem::NodeIdInUse { endpoint, message } => write!(
                f,
                "node_id_in_use: {endpoint} says: {message}; give each process its own node id"
            ),
            Problem::Invalid { endpoint, message } => {
                write!(f, "{endpoint} refuses this node's calls: {message}")
            }
            Problem::Unreachable { endpoint, message } => {
                write!(f, "{endpoint} cannot be reached: {message}")
            }
            Problem::Token { message } => write!(f, "the node's token: {message}"),
            Problem::HookPanicked { hook } => write!(f, "the node's `{hook}` closure panicked"),
        }
    }
}

impl std::error::Error for Problem {}
