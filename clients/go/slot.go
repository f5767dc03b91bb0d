package leanagg

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// SlotClock says when slots and their intervals begin.
type SlotClock struct {
	// Genesis is the start of slot 0.
	Genesis time.Time
	// Slot is the length of a slot.
	Slot time.Duration
	// Intervals is the number of intervals of a slot. Default 5.
	Intervals int
}

const (
	intervalsDefault = 5
	// fenceSlots is how many slots after its own a proof is worthless.
	fenceSlots = 2
	// earlyDefault is how long before its instant a duty may start at a quorum.
	earlyDefault = 600 * time.Millisecond
)

func (c SlotClock) check() error {
	if c.Genesis.IsZero() {
		return errors.New("Clock.Genesis is zero; give the start of slot 0")
	}
	if c.Slot < time.Millisecond || c.Slot > 24*time.Hour {
		return fmt.Errorf("Clock.Slot is %v, expected 1ms to 24h", c.Slot)
	}
	if c.Intervals < 0 {
		return fmt.Errorf("Clock.Intervals is %d, expected 1 or more", c.Intervals)
	}
	return nil
}

func (c SlotClock) intervals() int {
	if c.Intervals == 0 {
		return intervalsDefault
	}
	return c.Intervals
}

// Start returns the start of a slot.
func (c SlotClock) Start(slot uint64) time.Time { return c.IntervalStart(slot, 0) }

// IntervalStart returns the start of an interval of a slot, in whole milliseconds after the slot's
// start. An instant that is too far for the type is the latest one there is.
func (c SlotClock) IntervalStart(slot uint64, interval int) time.Time {
	if slot > uint64(math.MaxInt64/c.Slot)-2 {
		return c.Genesis.Add(math.MaxInt64)
	}
	return c.intervalStart(int64(slot), interval)
}

func (c SlotClock) intervalStart(slot int64, interval int) time.Time {
	within := time.Duration(interval) * c.Slot / time.Duration(c.intervals())
	return c.Genesis.Add(time.Duration(slot)*c.Slot + within.Truncate(time.Millisecond))
}

// SlotAt returns the slot at an instant; it is negative before slot 0.
func (c SlotClock) SlotAt(at time.Time) int64 {
	since := at.Sub(c.Genesis)
	slot := since / c.Slot
	if since < 0 && since%c.Slot != 0 {
		slot--
	}
	return int64(slot)
}

// NextBoundary returns the first start of an interval after an instant.
func (c SlotClock) NextBoundary(at time.Time) time.Time {
	slot := c.SlotAt(at)
	for interval := 1; ; interval++ {
		if boundary := c.intervalStart(slot, interval); boundary.After(at) {
			return boundary
		}
	}
}

// Fence returns the instant from which the proofs of a submission at a slot are worthless: the start
// of the slot after the next one.
func (c SlotClock) Fence(slot uint64) time.Time { return c.Start(slot + fenceSlots) }

// Steps returns steps for [SubmitOptions]: a vote counts 4 until the last interval but one of its
// slot starts, 2 until the last one starts, and 1 until the fence. One that has passed at the given
// instant stays, below 0, so that the number of a step means one instant of the slot; one that is not
// before the fence is left out.
func (c SlotClock) Steps(slot uint64, at, fence time.Time) []Step {
	if !fence.After(at) {
		return nil
	}
	steps := []Step{}
	for i, weight := range []uint32{4, 2} {
		until := c.IntervalStart(slot, c.intervals()-2+i)
		if until.Before(fence) {
			steps = append(steps, Step{Within: until.Sub(at), Weight: weight})
		}
	}
	return append(steps, Step{Within: fence.Sub(at), Weight: 1})
}

// Duty is a duty of the node, and the votes that have arrived for it.
type Duty struct {
	// At is when the duty starts without a quorum.
	At time.Time
	// Votes have arrived, of Expected ones.
	Votes, Expected int
	// Early is how long before At a quorum may start the duty. Default 600 ms; negative: not at all.
	Early time.Duration
}

// MayStart reports whether the duty may start: it is time, or two thirds of the expected votes are
// there early enough.
func (d Duty) MayStart(at time.Time) bool {
	if !at.Before(d.At) {
		return true
	}
	early := d.Early
	if early == 0 {
		early = earlyDefault
	}
	isQuorum := d.Expected > 0 && 3*d.Votes >= 2*d.Expected
	return isQuorum && early > 0 && !at.Before(d.At.Add(-early))
}

// IsPaused reports whether an instant is in the pause before the node's own proposal, or less than
// after beyond it: a value for [Gates].
func IsPaused(at, proposal time.Time, before, after time.Duration) bool {
	return !at.Before(proposal.Add(-before)) && at.Before(proposal.Add(after))
}
