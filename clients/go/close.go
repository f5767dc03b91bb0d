package leanagg

import (
	"context"
	"sync"
	"time"

	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

// Close takes no more snapshots, waits until every group has ended or ctx is done, cancels what is
// left, and closes the connections. It returns ctx.Err() when something was cut off. Later calls do
// nothing. Results can still be taken. It waits for functions of the node half a second at most.
func (a *Aggregator) Close(ctx context.Context) error {
	a.closing.Lock()
	defer a.closing.Unlock()
	a.mu.Lock()
	isClosed := a.isClosed
	a.mu.Unlock()
	if isClosed {
		return nil
	}
	a.dispatch(machine.Closing{}, nil)
	err := a.untilIdle(ctx)
	a.dispatch(machine.Closed{}, nil)
	a.endCalls()
	return err
}

// untilIdle waits until every group has ended and no verification runs. Time goes on meanwhile.
func (a *Aggregator) untilIdle(ctx context.Context) error {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		a.mu.Lock()
		if a.machine.IsIdle() {
			a.mu.Unlock()
			return nil
		}
		idle := make(chan struct{})
		a.idle = idle
		a.mu.Unlock()
		select {
		case <-idle:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			a.dispatch(machine.Tick{}, nil)
		}
	}
}

// endCalls waits for the cancels of Closed, then ends streams and calls and closes connections.
func (a *Aggregator) endCalls() {
	a.mu.Lock()
	a.isClosed = true
	if a.holding != nil {
		a.holding.Stop()
	}
	a.mu.Unlock()
	waitBriefly(&a.cancels)
	a.die()
	// A function of the node that does not return must not hold the node's stop up.
	waitBriefly(&a.running)
	for _, each := range a.endpoints {
		each.close()
	}
}

// waitBriefly waits for a group, for a bounded time.
func waitBriefly(group *sync.WaitGroup) {
	ended := make(chan struct{})
	go func() {
		group.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(cancelTimeout):
	}
}
