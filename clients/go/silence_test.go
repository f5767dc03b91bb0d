package leanagg

import (
	"math"
	"testing"
	"time"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
)

func TestSilenceIsReportedOnce(t *testing.T) {
	silent := make(chan struct{}, 2)
	s := startSilence(10*time.Millisecond, func() { silent <- struct{}{} })
	defer s.stop()
	select {
	case <-silent:
	case <-time.After(5 * time.Second):
		t.Fatal("the silence is not reported")
	}
	s.allow(time.Millisecond)
	select {
	case <-silent:
		t.Error("reported twice")
	case <-time.After(200 * time.Millisecond):
	}
}

// After a stall of the process that is too short to begin anew, the timer may run before the reader.
func TestWhatHasArrivedInAShortStallIsReadFirst(t *testing.T) {
	silent := make(chan struct{}, 1)
	s := startSilence(10*time.Millisecond, func() { silent <- struct{}{} })
	defer s.stop()
	s.mu.Lock() // the stall: the timer fires, and waits
	time.Sleep(100 * time.Millisecond)
	s.mu.Unlock()
	time.Sleep(5 * time.Millisecond) // its turn comes before the reader's
	s.allow(time.Minute)
	select {
	case <-silent:
		t.Error("what has arrived is not read before the stream counts as silent")
	case <-time.After(200 * time.Millisecond):
	}
}

func TestAnAnnouncedEventMayTakeAsLongAsTheLargest(t *testing.T) {
	for bytes, want := range map[uint32]time.Duration{
		0:              0,
		64_000:         time.Second,
		2 << 20:        32_768 * time.Millisecond,
		math.MaxUint32: 32_768 * time.Millisecond,
	} {
		if got := sendingTime(&aggregatorv1.Sending{Bytes: bytes}); got != want {
			t.Errorf("%d bytes: %v, want %v", bytes, got, want)
		}
	}
}
