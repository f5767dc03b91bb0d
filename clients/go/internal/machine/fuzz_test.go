package machine_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

// FuzzEvents reads bytes as a sequence of events, and checks what holds of every sequence: the
// machine does not panic, the same events have the same effects, no group ends twice, and after
// `closed` nothing is in flight.
func FuzzEvents(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 7, 0, 10, 0, 3, 1, 0, 20})
	f.Add([]byte{7, 0, 0, 0, 7, 1, 0, 0, 2, 0, 1, 1, 3, 0, 0, 0, 10, 0, 0, 0, 11, 0, 0, 0, 14, 0, 0, 0})
	f.Fuzz(func(t *testing.T, bytes []byte) {
		options := machine.Options{Endpoints: []string{"A", "B"}, HasVerifyHook: len(bytes)%2 == 0}
		first, second := machine.New[payload](options), machine.New[payload](options)
		seen := &endings{count: map[string]int{}, used: map[string]bool{}}
		var nowMs int64
		for i := 0; i+4 <= len(bytes); i += 4 {
			nowMs += int64(bytes[i+3]) * 20
			seen.play(t, first, second, eventOf(bytes[i:i+4], nowMs), nowMs)
		}
		seen.play(t, first, second, machine.Closed{}, nowMs)
		seen.play(t, first, second, machine.Take{Slot: 1}, nowMs+10_000)
		if first.InFlight() != 0 || !first.IsIdle() {
			t.Errorf("%d requests in flight after closed", first.InFlight())
		}
	})
}

// endings counts how often each group has ended. Request ids are used once, as nodes do.
type endings struct {
	count map[string]int
	used  map[string]bool
}

func (e *endings) play(
	t *testing.T, first, second *machine.Machine[payload], event machine.Event, nowMs int64,
) {
	if submitted, isSubmitted := event.(machine.Submitted); isSubmitted {
		if e.used[submitted.Submission.RequestID] {
			return
		}
		e.used[submitted.Submission.RequestID] = true
	}
	effects := first.Handle(event, nowMs)
	if again := second.Handle(event, nowMs); !reflect.DeepEqual(effects, again) {
		t.Fatalf("%+v: %v and %v", event, effects, again)
	}
	for _, effect := range effects {
		if ended, isResult := effect.(machine.Deliver[payload]); isResult {
			ref := ended.Result.Ref
			key := fmt.Sprint(ref.RequestID, "/", ref.GroupIndex)
			if e.count[key]++; e.count[key] > 1 {
				t.Fatalf("group %s has ended twice", key)
			}
		}
	}
}

// eventOf makes an event of four bytes: its kind, its request, its details and a delay.
func eventOf(b []byte, nowMs int64) machine.Event {
	id := fmt.Sprint("r", b[1]%12)
	endpoint := []string{"A", "B", "C"}[b[2]%3]
	service := []string{"S", "S", "T"}[b[1]%3]
	flag := b[2]&8 != 0
	group := int(b[2]>>4) % 3
	latch := machine.LatchName{
		Priority:  []machine.Priority{machine.Proposal, machine.Aggregation, machine.Backlog}[b[1]%3],
		ProofKind: []machine.ProofKind{machine.Aggregate, machine.Merge}[b[1]/3%2],
	}
	switch b[0] % 17 {
	case 0:
		return machine.Ask{Slot: uint64(b[1]) % 8, LatchName: latch, MayReplace: flag,
			Gates: machine.Gates{IsAggregator: b[2]&1 == 0, HasState: b[2]&2 == 0}}
	case 1:
		return machine.Take{Slot: uint64(b[1]) % 8}
	case 2:
		fenceSlot := uint64(b[2]) % 8
		return machine.Submitted{Submission: machine.Submission{
			RequestID: id, LatchName: latch, Slot: uint64(b[1]) % 4, Groups: 1 + group,
			Bytes: int(b[2]) << 18, DeadlineAtMs: nowMs + int64(b[2])*8,
			FenceAtMs: nowMs + int64(b[2])*50, FenceSlot: &fenceSlot,
		}}
	case 3:
		return machine.Accepted{RequestID: id, Endpoint: endpoint, ServiceID: service, FenceAtMs: nowMs + int64(b[2])*40}
	case 4:
		return machine.Refused{RequestID: id, Endpoint: endpoint, Reason: machine.SkipReasons[int(b[2])%len(machine.SkipReasons)]}
	case 5:
		return machine.Failed{RequestID: id, Endpoint: endpoint, IsTimeout: flag}
	case 6:
		return machine.Opening{Endpoint: endpoint}
	case 7:
		return machine.Opened{Endpoint: endpoint, ServiceID: service, State: machine.StateReady,
			Awaited: []machine.AwaitedState{{RequestID: id, IsKnown: flag}}}
	case 8:
		return machine.Status{Endpoint: endpoint, State: machine.StateDraining}
	case 9:
		return machine.Disconnected{Endpoint: endpoint, IsSilent: flag}
	case 10, 11:
		return machine.Outcome[payload]{
			Endpoint: endpoint, RequestID: id, GroupIndex: group, Message: "m", IsProof: b[0]&1 == 0,
			IsLate: flag, IsDrained: b[2]&4 != 0, Participants: machine.Bits{b[2]}, Payload: "p",
		}
	case 12:
		return machine.Summary{Endpoint: endpoint, RequestID: id}
	case 13:
		return machine.Verified{Ref: machine.GroupRef{RequestID: id, GroupIndex: group}, IsValid: flag}
	case 14:
		return machine.Cancel{RequestID: id, Groups: []int{group}}
	case 15:
		return machine.Tick{}
	}
	return machine.Closing{}
}
