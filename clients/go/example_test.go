package leanagg_test

import (
	"fmt"
	"log/slog"
	"time"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	"github.com/lean-aggregator/lean-aggregator/clients/go/leanaggtest"
	"github.com/lean-aggregator/lean-aggregator/clients/go/ssz"
)

// A tick loop: the node submits its votes in the aggregating interval, and applies proofs as they
// come.
func Example() {
	service, err := leanaggtest.New(leanaggtest.Options{ProveTime: 10 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer service.Kill()

	clock := leanagg.SlotClock{Genesis: time.Now(), Slot: 500 * time.Millisecond, Intervals: 5}
	node, err := leanagg.New(leanagg.Options{
		Endpoints: []string{service.Address()},
		NodeID:    "node-1",
		Clock:     clock,
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer cutOff(node)

	aggregateAt := time.After(time.Until(clock.IntervalStart(0, 2)))
	for {
		select {
		case <-aggregateAt:
			gates := leanagg.Gates{IsAggregator: true, HasState: true}
			answer := node.SubmitOrSkip(0, gates, func() (*leanagg.Snapshot, error) {
				return votes(4), nil // from the node's pool of signatures; or leanagg.ErrNothing
			}, leanagg.SubmitOptions{MinInputs: 2})
			fmt.Println("submitted:", answer.Submitted())
		case <-node.Ready():
			for _, result := range node.TakeResults(0) {
				if result.Kind != leanagg.Ended {
					continue // its votes go into the next snapshot
				}
				validators := ssz.Validators(result.Outcome.GetParticipants())
				fmt.Println("proof of validators", validators)
				return
			}
		}
	}
	// Output:
	// submitted: true
	// proof of validators [0 1 2 3]
}
