package leanagg_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	"github.com/lean-aggregator/lean-aggregator/clients/go/leanaggtest"
)

// A Token function that does not return, and heeds no context, is as an endpoint that cannot be reached.
func TestATokenThatDoesNotReturnTakesTheEndpointDown(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	block := make(chan struct{})
	unblock := sync.OnceFunc(func() { close(block) })
	defer unblock()
	node := start(t, leanagg.Options{
		Endpoints: []string{service.Address()},
		Token:     func(context.Context) (string, error) { <-block; return "secret", nil },
	})
	awaitState(t, node, 0, "down")
	unblock()
	awaitState(t, node, 0, "ready")
}

// What is left of a try's times is what is left when its token is there.
func TestTheTimesOfATryCountFromItsToken(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	var isSlow atomic.Bool
	node := start(t, leanagg.Options{
		Endpoints: []string{service.Address()},
		Token: func(context.Context) (string, error) {
			if isSlow.Load() {
				time.Sleep(300 * time.Millisecond)
			}
			return "secret", nil
		},
	})
	awaitState(t, node, 0, "ready")
	isSlow.Store(true)
	submit(t, node, leanagg.SubmitOptions{}, 1)
	awaitRequests(t, service, 1)
	if left := service.Requests()[0].GetDeadlineMs(); left > 450 {
		t.Errorf("%d ms are left of 750 after 300 ms", left)
	}
	isSlow.Store(false)
	take(t, node, 1)
}
