//! What became of votes.

use crate::proto::{Outcome, OutcomeStatus};

/// What became of a vote, a pair of a validator and a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VoteFate {
    /// In a proof that was made by the deadline.
    Proved,
    /// In a proof that was made after the deadline.
    ProvedLate,
    /// Left out for lack of time.
    Shed,
    /// Its signature does not verify.
    BadSignature,
    /// Its signature is of another slot's leaf.
    WrongLeaf,
    /// The snapshot has no key of the validator.
    UnknownKey,
    /// Only in a child that is bad or exceeds a limit.
    BadChild,
    /// Only in a child of another proof system.
    OtherSystem,
    /// Only in a good child of a group without a proof.
    Covered,
    /// Its group was not started.
    NotStarted,
    /// The proof of its group was stopped.
    Stopped,
    /// The proof of its group failed.
    Failed,
}

impl VoteFate {
    /// All fates.
    pub const ALL: [VoteFate; 12] = [
        VoteFate::Proved,
        VoteFate::ProvedLate,
        VoteFate::Shed,
        VoteFate::BadSignature,
        VoteFate::WrongLeaf,
        VoteFate::UnknownKey,
        VoteFate::BadChild,
        VoteFate::OtherSystem,
        VoteFate::Covered,
        VoteFate::NotStarted,
        VoteFate::Stopped,
        VoteFate::Failed,
    ];

    /// The name that metrics have.
    pub fn name(self) -> &'static str {
        match self {
            VoteFate::Proved => "proved",
            VoteFate::ProvedLate => "proved_late",
            VoteFate::Shed => "shed",
            VoteFate::BadSignature => "bad_signature",
            VoteFate::WrongLeaf => "wrong_leaf",
            VoteFate::UnknownKey => "unknown_key",
            VoteFate::BadChild => "bad_child",
            VoteFate::OtherSystem => "other_system",
            VoteFate::Covered => "covered",
            VoteFate::NotStarted => "not_started",
            VoteFate::Stopped => "stopped",
            VoteFate::Failed => "failed",
        }
    }

    /// The votes of an outcome by fate, whose sum is the group's votes. Empty for a service that does
    /// not say what became of them.
    pub fn count(outcome: &Outcome) -> Vec<(VoteFate, u64)> {
        let Some(votes) = &outcome.votes else {
            return Vec::new();
        };
        let proved = match outcome.status() {
            OutcomeStatus::ProvedLate => VoteFate::ProvedLate,
            _ => VoteFate::Proved,
        };
        vec![
            (
                proved,
                votes.proved.iter().map(|count| u64::from(*count)).sum(),
            ),
            (VoteFate::Shed, votes.shed.into()),
            (VoteFate::BadSignature, votes.bad_signature.into()),
            (VoteFate::WrongLeaf, votes.wrong_leaf.into()),
            (VoteFate::UnknownKey, votes.unknown_key.into()),
            (VoteFate::BadChild, votes.bad_child.into()),
            (VoteFate::OtherSystem, votes.other_system.into()),
            (VoteFate::Covered, votes.covered.into()),
            (VoteFate::NotStarted, votes.not_started.into()),
            (VoteFate::Stopped, votes.stopped.into()),
            (VoteFate::Failed, votes.failed.into()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::Votes;

    #[test]
    fn the_votes_of_an_outcome_are_counted_by_fate() {
        let votes = Votes {
            proved: vec![1, 0, 2],
            shed: 29,
            wrong_leaf: 1,
            ..Votes::default()
        };
        let mut outcome = Outcome {
            votes: Some(votes),
            ..Outcome::default()
        };
        outcome.set_status(OutcomeStatus::Proved);
        let counts = VoteFate::count(&outcome);
        assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 33);
        assert!(counts.contains(&(VoteFate::Proved, 3)));
        assert!(counts.contains(&(VoteFate::Shed, 29)));
        outcome.set_status(OutcomeStatus::ProvedLate);
        assert!(VoteFate::count(&outcome).contains(&(VoteFate::ProvedLate, 3)));
        outcome.votes = None;
        assert_eq!(VoteFate::count(&outcome), []);
        for (index, fate) in VoteFate::ALL.into_iter().enumerate() {
            assert_eq!(fate as usize, index, "{}", fate.name());
        }
    }
}
