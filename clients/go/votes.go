package leanagg

import aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"

// VoteFate is what became of a vote, a pair of a validator and a message.
type VoteFate string

// The fates of votes. A proof after its deadline is late.
const (
	VoteProved       VoteFate = "proved"
	VoteProvedLate   VoteFate = "proved_late"
	VoteShed         VoteFate = "shed"
	VoteBadSignature VoteFate = "bad_signature"
	VoteWrongLeaf    VoteFate = "wrong_leaf"
	VoteUnknownKey   VoteFate = "unknown_key"
	VoteBadChild     VoteFate = "bad_child"
	VoteOtherSystem  VoteFate = "other_system"
	VoteCovered      VoteFate = "covered"
	VoteNotStarted   VoteFate = "not_started"
	VoteStopped      VoteFate = "stopped"
	VoteFailed       VoteFate = "failed"
)

// VoteFates are all fates.
var VoteFates = []VoteFate{
	VoteProved, VoteProvedLate, VoteShed, VoteBadSignature, VoteWrongLeaf, VoteUnknownKey,
	VoteBadChild, VoteOtherSystem, VoteCovered, VoteNotStarted, VoteStopped, VoteFailed,
}

// VotesByFate counts the votes of an outcome, whose sum is the group's votes. It is empty for the
// outcome of a service that does not say what became of them.
func VotesByFate(outcome *Outcome) map[VoteFate]uint64 {
	votes := outcome.GetVotes()
	if votes == nil {
		return nil
	}
	var proved uint64
	for _, count := range votes.GetProved() {
		proved += uint64(count)
	}
	fate := VoteProved
	if outcome.GetStatus() == aggregatorv1.OutcomeStatus_OUTCOME_STATUS_PROVED_LATE {
		fate = VoteProvedLate
	}
	return map[VoteFate]uint64{
		fate:             proved,
		VoteShed:         uint64(votes.GetShed()),
		VoteBadSignature: uint64(votes.GetBadSignature()),
		VoteWrongLeaf:    uint64(votes.GetWrongLeaf()),
		VoteUnknownKey:   uint64(votes.GetUnknownKey()),
		VoteBadChild:     uint64(votes.GetBadChild()),
		VoteOtherSystem:  uint64(votes.GetOtherSystem()),
		VoteCovered:      uint64(votes.GetCovered()),
		VoteNotStarted:   uint64(votes.GetNotStarted()),
		VoteStopped:      uint64(votes.GetStopped()),
		VoteFailed:       uint64(votes.GetFailed()),
	}
}
