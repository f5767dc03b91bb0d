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
	submit(t, node, leanagg.SubmitOptions{Deadline: 5 * time.Second}, 1)
	awaitRequests(t, service, 1)
	if left := service.Requests()[0].GetDeadlineMs(); left > 4700 {
		t.Errorf("%d ms are left of 5000 after 300 ms", left)
	}
	isSlow.Store(false)
	take(t, node, 1)
}

// No header can carry such a token: the connection would look broken, and the call would be made again.
func TestATokenThatNoHeaderCarriesIsInvalid(t *testing.T) {
	for name, invalid := range map[string]string{
		"a line's end": "secret\n", "a space": "two words", "no ASCII": "s\u00e9cret", "nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			service := leanaggtest.Start(t, leanaggtest.Options{})
			skips := make(chan leanagg.Skip, 1)
			var isInvalid atomic.Bool
			node := start(t, leanagg.Options{
				Endpoints: []string{service.Address()},
				Token: func(context.Context) (string, error) {
					if isInvalid.Load() {
						return invalid, nil
					}
					return "secret", nil
				},
				OnSkip: func(skip leanagg.Skip) { skips <- skip },
			})
			awaitState(t, node, 0, "ready")
			isInvalid.Store(true)
			submit(t, node, leanagg.SubmitOptions{}, 1)
			select {
			case skip := <-skips:
				if skip.Reason != leanagg.Invalid {
					t.Errorf("%+v", skip)
				}
			case <-time.After(5 * time.Second):
				t.Error("no skip")
			}
		})
	}
}
