package leanagg

import (
	"fmt"
	"math"
	"time"
)

// SlotClock says when slots begin.
type SlotClock struct {
	// Genesis is the start of slot 0.
	Genesis time.Time
	// Slot is the length of a slot.
	Slot time.Duration
}

func (c SlotClock) check() error {
	if c.Genesis.IsZero() {
		return fmt.Errorf("Clock.Genesis is zero; give the start of slot 0")
	}
	if c.Slot < time.Millisecond || c.Slot > 24*time.Hour {
		return fmt.Errorf("Clock.Slot is %v, expected 1ms to 24h", c.Slot)
	}
	return nil
}

// Start returns the start of a slot.
func (c SlotClock) Start(slot uint64) time.Time {
	if slot > math.MaxInt64/uint64(c.Slot) {
		return c.Genesis.Add(math.MaxInt64)
	}
	return c.Genesis.Add(time.Duration(slot) * c.Slot)
}

// SlotAt returns the slot at an instant; 0 before genesis.
func (c SlotClock) SlotAt(at time.Time) uint64 {
	return uint64(max(0, at.Sub(c.Genesis)) / c.Slot)
}
