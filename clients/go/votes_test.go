package leanagg_test

import (
	"reflect"
	"testing"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
)

func TestTheVotesOfAnOutcomeAreCountedByFate(t *testing.T) {
	outcome := &leanagg.Outcome{
		Status: aggregatorv1.OutcomeStatus_OUTCOME_STATUS_PROVED,
		Votes:  &aggregatorv1.Votes{Proved: []uint32{1, 0, 2}, Shed: 29, WrongLeaf: 1},
	}
	counts := leanagg.VotesByFate(outcome)
	found := map[leanagg.VoteFate]uint64{}
	var sum uint64
	for fate, count := range counts {
		sum += count
		if count > 0 {
			found[fate] = count
		}
	}
	want := map[leanagg.VoteFate]uint64{
		leanagg.VoteProved: 3, leanagg.VoteShed: 29, leanagg.VoteWrongLeaf: 1,
	}
	if !reflect.DeepEqual(found, want) || sum != 33 {
		t.Errorf("votes are %v, want %v", found, want)
	}
	outcome.Status = aggregatorv1.OutcomeStatus_OUTCOME_STATUS_PROVED_LATE
	if late := leanagg.VotesByFate(outcome)[leanagg.VoteProvedLate]; late != 3 {
		t.Errorf("late votes are %d, want 3", late)
	}
	if counts := leanagg.VotesByFate(&leanagg.Outcome{}); len(counts) != 0 {
		t.Errorf("votes of an older service are %v, want none", counts)
	}
}
