package leanagg

import (
	"sync"
	"time"
)

// lateMax is how late a timer may be. A later one says that the node itself stalled, so that nothing
// is known about the service.
const lateMax = 500 * time.Millisecond

// readTime is how long the stream's reader has, once the silence is over, for what has arrived in a shorter
// stall: the timer may run before it.
const readTime = 50 * time.Millisecond

// silence calls a function when nothing was allowed to be silent for so long.
type silence struct {
	mu       sync.Mutex
	timer    *time.Timer
	due      time.Time
	allowed  time.Duration
	onSilent func()
	// isReading: the allowed time is over, and the reader has readTime.
	isReading bool
	isStopped bool
}

func startSilence(allowed time.Duration, onSilent func()) *silence {
	s := &silence{onSilent: onSilent}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due, s.allowed = time.Now().Add(allowed), allowed
	s.timer = time.AfterFunc(allowed, s.fire)
	return s
}

// allow starts the silence anew: something has arrived.
func (s *silence) allow(allowed time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restart(allowed)
}

func (s *silence) restart(allowed time.Duration) {
	if s.isStopped {
		return
	}
	s.allowed, s.isReading = allowed, false
	s.wait(allowed)
}

func (s *silence) wait(duration time.Duration) {
	s.due = time.Now().Add(duration)
	s.timer.Reset(duration)
}

func (s *silence) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	late := time.Since(s.due)
	switch {
	case s.isStopped || late < 0: // it was allowed more while this call waited
	case late > lateMax:
		s.restart(s.allowed)
	case !s.isReading:
		s.isReading = true
		s.wait(readTime)
	default:
		s.isStopped = true
		s.onSilent()
	}
}

func (s *silence) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isStopped = true
	s.timer.Stop()
}
