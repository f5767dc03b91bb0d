//! What the machine wants done.

use alloc::vec::Vec;

use super::event::{EndpointIndex, GroupRef, Millis, RequestId, SkipReason};

/// How one group ended for the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupResult<P> {
    /// As a service reported.
    Outcome(GroupRef, P),
    /// An earlier proof of the same slot and root has all participants of this one.
    Duplicate(GroupRef),
    /// The node's own verification failed.
    Refused(GroupRef),
    /// The node cancelled it.
    Cancelled(GroupRef),
    /// No service will end it before its fence.
    Lost(GroupRef),
}

impl<P> GroupResult<P> {
    /// The group that ended.
    pub fn group(&self) -> &GroupRef {
        match self {
            GroupResult::Outcome(group, _)
            | GroupResult::Duplicate(group)
            | GroupResult::Refused(group)
            | GroupResult::Cancelled(group)
            | GroupResult::Lost(group) => group,
        }
    }
}

/// A request that the request of a result stream names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwaitedRequest {
    /// The request.
    pub request_id: RequestId,
    /// Groups whose outcomes are not sent again, ascending.
    pub received_groups: Vec<usize>,
}

/// One try of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// The request.
    pub request_id: RequestId,
    /// The endpoint.
    pub endpoint: EndpointIndex,
    /// Send after this many milliseconds. 0: at once.
    pub after_ms: Millis,
    /// The budget for the deadline is what is left until this instant.
    pub deadline_at_ms: Millis,
    /// The budget for the fence is what is left until this instant.
    pub fence_at_ms: Millis,
    /// Send 0 for the deadline: only the answer to an earlier try is wanted.
    pub is_lookup: bool,
    /// For the metrics.
    pub is_resubmission: bool,
}

/// What the shell carries out, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<P> {
    /// The answer to `Ask`: make the snapshot, freeze it, pass `Submitted`.
    Go,
    /// A snapshot was not submitted, or no group of the request has a result.
    Skip {
        /// `None`: nothing was submitted.
        request_id: Option<RequestId>,
        /// Why.
        reason: SkipReason,
    },
    /// Send the frozen request. Ends an earlier try of the request that has no answer.
    Send(Send),
    /// Call `CancelSession`; nobody waits for the answer.
    Cancel {
        /// The endpoint.
        endpoint: EndpointIndex,
        /// The request.
        request_id: RequestId,
        /// Indices of the groups, ascending. Empty: all.
        groups: Vec<usize>,
    },
    /// The frozen bytes of the request are not needed any more.
    Forget {
        /// The request.
        request_id: RequestId,
    },
    /// The answer to `Opening`: what the stream's request names.
    Await {
        /// The endpoint.
        endpoint: EndpointIndex,
        /// Oldest first, at most 64.
        requests: Vec<AwaitedRequest>,
    },
    /// Verify the proof, then pass `Verified`.
    Verify {
        /// The group.
        group: GroupRef,
        /// The outcome with the proof.
        payload: P,
    },
    /// A result for the node.
    Deliver(GroupResult<P>),
    /// For the metrics: a session's end, once for each request.
    Summarised {
        /// The request.
        request_id: RequestId,
        /// The endpoint.
        endpoint: EndpointIndex,
        /// From the service's receipt to its last outcome.
        duration_ms: Millis,
    },
    /// Several services answer at this endpoint; once for each endpoint.
    Balanced {
        /// The endpoint.
        endpoint: EndpointIndex,
    },
    /// For the metrics: a proof made after the deadline.
    Late(GroupRef),
    /// For the metrics: a proof past its fence.
    Fenced(GroupRef),
    /// For the metrics: a group that no service ended.
    Lost(GroupRef),
    /// For the metrics: a result that the node did not take.
    Dropped(GroupRef),
}
