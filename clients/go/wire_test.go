package leanagg

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/vectors"
)

// TestFrozenBytes compares the bytes of a frozen request, and what each try appends to them.
func TestFrozenBytes(t *testing.T) {
	for _, file := range vectors.Files(t, "requests", "*.json") {
		var read struct {
			Cases []struct {
				Name, Frozen string
				Request      json.RawMessage
				Tries        []struct {
					DeadlineMs, FenceMs float64
					Steps               []struct {
						UntilMs float64
						Weight  uint32
					}
					Appended string
				}
			}
		}
		vectors.Read(t, file, &read)
		for _, c := range read.Cases {
			request := &aggregatorv1.SubmitSnapshotRequest{}
			if err := protojson.Unmarshal(c.Request, request); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			frozen, err := encode(request)
			if err != nil || hex.EncodeToString(frozen) != c.Frozen {
				t.Errorf("%s: %v\ngot  %x\nwant %s", c.Name, err, frozen, c.Frozen)
			}
			for i, try := range c.Tries {
				var steps []stepAt
				for _, step := range try.Steps {
					steps = append(steps, stepAt{untilMs: int64(math.Floor(step.UntilMs)), weight: step.Weight})
				}
				got := budgets(int64(try.DeadlineMs), int64(try.FenceMs), steps, 0)
				if hex.EncodeToString(got) != try.Appended {
					t.Errorf("%s: try %d: got %x, want %s", c.Name, i, got, try.Appended)
				}
			}
		}
	}
}

// TestOutcomeEvent: a proof without bytes counts as erased, and no proof as drained.
func TestOutcomeEvent(t *testing.T) {
	proved := aggregatorv1.OutcomeStatus_OUTCOME_STATUS_PROVED
	draining := aggregatorv1.OutcomeReason_OUTCOME_REASON_DRAINING
	for _, c := range []struct {
		outcome             *Outcome
		isErased, isDrained bool
	}{
		{&Outcome{Status: proved, Proof: []byte{1}}, false, false},
		{&Outcome{Status: proved}, true, false},
		{&Outcome{Status: proved, Proof: []byte{1}, Reason: draining}, false, false},
		{&Outcome{Reason: draining}, false, true},
	} {
		event := outcomeEvent("A", c.outcome, false)
		if event.IsErased != c.isErased || event.IsDrained != c.isDrained {
			t.Errorf("%v: erased %v, drained %v", c.outcome, event.IsErased, event.IsDrained)
		}
	}
}

// TestAwaitedState: a state that this client does not know says nothing.
func TestAwaitedState(t *testing.T) {
	opened := &aggregatorv1.Opened{}
	for state := range aggregatorv1.RequestState_name {
		opened.Awaited = append(opened.Awaited, &aggregatorv1.AwaitedState{
			RequestId: aggregatorv1.RequestState(state).String(), State: aggregatorv1.RequestState(state),
		})
	}
	want := map[string]bool{
		"REQUEST_STATE_UNKNOWN": false, "REQUEST_STATE_IN_FLIGHT": true, "REQUEST_STATE_ENDED": true,
	}
	got := map[string]bool{}
	for _, each := range openedEvent("A", opened).Awaited {
		got[each.RequestID] = each.IsKnown
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
