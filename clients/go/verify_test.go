package leanagg_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	"github.com/lean-aggregator/lean-aggregator/clients/go/leanaggtest"
)

// Verifications that do not return give their places up at the fence of their proofs.
func TestHungVerificationsHoldOthersUpUntilTheirFenceOnly(t *testing.T) {
	const sideBySide = 4
	service := leanaggtest.Start(t, leanaggtest.Options{})
	var calls atomic.Int64
	release := make(chan struct{})
	defer close(release)
	node := start(t, leanagg.Options{
		Endpoints: []string{service.Address()},
		Verify: func(context.Context, *leanagg.Outcome) bool {
			if calls.Add(1) <= sideBySide {
				<-release
			}
			return true
		},
	})
	awaitState(t, node, 0, "ready")
	submit(t, node, leanagg.SubmitOptions{Fence: 2 * time.Second}, 1, 1, 1, 1)
	for end := time.Now().Add(5 * time.Second); calls.Load() < sideBySide && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	answer := submit(t, node, leanagg.SubmitOptions{Priority: leanagg.Backlog}, 2)
	result := take(t, node, 1)[0]
	if !isProof(result) || result.RequestID != answer.RequestID {
		t.Errorf("%+v", result)
	}
	if fenced := node.Stats().Fenced; fenced != sideBySide {
		t.Errorf("%d proofs counted as fenced, expected %d", fenced, sideBySide)
	}
}
