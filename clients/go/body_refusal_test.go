package leanagg_test

import (
	"errors"
	"testing"
	"time"

	"connectrpc.com/connect"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/leanaggtest"
)

// refusing returns a body in front of a service that answers nothing by itself. No skip of it is the node's.
func refusing(t *testing.T) (*leanagg.Aggregator, *leanagg.BodyCandidate, *scripted) {
	t.Helper()
	service := newScripted(t)
	service.start(t, "s", "1")
	node, body := growing(t, leanagg.Options{
		Endpoints: []string{service.server.Address()},
		OnSkip:    func(skip leanagg.Skip) { t.Errorf("a skip of the candidate: %+v", skip) },
	})
	return node, body, service
}

// askedFor offers in each tick until so many merges were asked for, and returns the newest.
func askedFor(
	t *testing.T, body *leanagg.BodyCandidate, service *scripted, offer string, count int,
) *aggregatorv1.SubmitSnapshotRequest {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		body.Offer(5, offerOf(offer))
		service.mu.Lock()
		submissions := service.submissions
		service.mu.Unlock()
		if len(submissions) == count {
			return submissions[count-1].request
		}
	}
	t.Fatalf("not asked for %d times", count)
	return nil
}

func refuse(
	t *testing.T, service *scripted, request *aggregatorv1.SubmitSnapshotRequest, code connect.Code,
) {
	t.Helper()
	service.answer(t, request.GetRequestId(), func(*aggregatorv1.SubmitSnapshotRequest) scriptedAnswer {
		return scriptedAnswer{err: connect.NewError(code, errors.New("refused"))}
	})
}

func TestBodyTriesOnceMoreWhatIsRefusedForWhatIsNotInIt(t *testing.T) {
	for name, code := range map[string]connect.Code{
		"the caller's token":      connect.CodeUnauthenticated,
		"what the service offers": connect.CodeUnimplemented,
		"the node's id":           connect.CodeFailedPrecondition,
	} {
		t.Run(name, func(t *testing.T) {
			node, body, service := refusing(t)
			refuse(t, service, askedFor(t, body, service, "a", 1), code)
			askedFor(t, body, service, "a", 2)
			if skipped := node.Stats().Skipped[leanagg.Invalid]; skipped != 1 {
				t.Errorf("%d skipped", skipped)
			}
		})
	}
}

func TestBodyGivesUpWhatIsRefusedAsInvalid(t *testing.T) {
	node, body, service := refusing(t)
	refuse(t, service, askedFor(t, body, service, "a", 1), connect.CodeInvalidArgument)
	awaitInFlight(t, node, 0)
	for range 50 {
		body.Offer(5, offerOf("a"))
		time.Sleep(time.Millisecond)
	}
	// What was given up is not asked for: the next merge is a fuller one.
	next := askedFor(t, body, service, "ab", 2)
	if count := len(next.GetSnapshot().GetGroups()[0].GetComponents()); count != 2 {
		t.Errorf("%d components are asked for", count)
	}
}

func TestBodyAsksForABlockOnceItsFenceIsNearEnough(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node, body := growing(t, leanagg.Options{Endpoints: []string{service.Address()}})
	offer := offerOf("a")
	offer.BlockSlot = 30 // in 120 s, and its fence half a second later
	body.Offer(5, offer)
	if stats := node.Stats(); stats.Submitted != 0 || len(stats.Skipped) != 0 {
		t.Errorf("too early: %+v", stats)
	}
	for end := time.Now().Add(10 * time.Second); len(service.Requests()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not asked for")
		}
		body.Offer(5, offer)
	}
	if fenceMs := service.Requests()[0].GetFenceMs(); fenceMs > 120_000 {
		t.Errorf("a fence of %d ms", fenceMs)
	}
}
