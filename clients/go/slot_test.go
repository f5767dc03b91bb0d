package leanagg_test

import (
	"path/filepath"
	"testing"
	"time"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/vectors"
)

type slotCase struct {
	Times struct {
		SlotMs    int64
		Intervals int
		PhaseMs   int64
	}
	Duty struct {
		DutyAtMs             int64
		Votes, ExpectedVotes int
		EarlyMs              *int64
	}
	AtMs, Slot, BoundaryAtMs, FenceAtMs int64
	Interval                            int
	MayStart                            bool
	Steps                               []struct {
		UntilAtMs int64
		Weight    uint32
	}
}

func TestSlotVectors(t *testing.T) {
	for _, file := range vectors.Files(t, "slot", "*.json") {
		var read struct{ Cases []slotCase }
		vectors.Read(t, file, &read)
		name := filepath.Base(file)
		for i, c := range read.Cases {
			if !isSlotCaseHeld(t, name, c) {
				t.Errorf("%s: case %d: %+v", name, i, c)
			}
		}
	}
}

func isSlotCaseHeld(t *testing.T, file string, c slotCase) bool {
	at := time.UnixMilli(c.AtMs)
	clock := leanagg.SlotClock{
		Genesis:   time.UnixMilli(c.Times.PhaseMs),
		Slot:      time.Duration(c.Times.SlotMs) * time.Millisecond,
		Intervals: c.Times.Intervals,
	}
	switch file {
	case "slot.json":
		return clock.SlotAt(at) == c.Slot
	case "interval.json":
		return clock.IntervalStart(uint64(c.Slot), c.Interval).UnixMilli() == c.AtMs
	case "next-boundary.json":
		return clock.NextBoundary(at).UnixMilli() == c.BoundaryAtMs
	case "fence.json":
		return clock.Fence(uint64(c.Slot)).UnixMilli() == c.FenceAtMs
	case "quorum.json":
		duty := leanagg.Duty{
			At: time.UnixMilli(c.Duty.DutyAtMs), Votes: c.Duty.Votes, Expected: c.Duty.ExpectedVotes,
		}
		if c.Duty.EarlyMs != nil {
			duty.Early = time.Duration(*c.Duty.EarlyMs) * time.Millisecond
			if duty.Early == 0 {
				duty.Early = -1
			}
		}
		return duty.MayStart(at) == c.MayStart
	case "steps.json":
		steps := clock.Steps(uint64(c.Slot), at, time.UnixMilli(c.FenceAtMs))
		isSame := len(steps) == len(c.Steps)
		for i, step := range steps {
			isSame = isSame && at.Add(step.Within).UnixMilli() == c.Steps[i].UntilAtMs &&
				step.Weight == c.Steps[i].Weight
		}
		return isSame
	}
	t.Fatalf("unknown file %s", file)
	return false
}

func TestIsPaused(t *testing.T) {
	proposal := time.UnixMilli(10_000)
	for at, want := range map[int64]bool{9_399: false, 9_400: true, 10_000: true, 10_199: true, 10_200: false} {
		got := leanagg.IsPaused(time.UnixMilli(at), proposal, 600*time.Millisecond, 200*time.Millisecond)
		if got != want {
			t.Errorf("at %d ms: paused %v, expected %v", at, got, want)
		}
	}
}
