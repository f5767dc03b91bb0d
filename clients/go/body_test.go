package leanagg_test

import (
	"context"
	"sync"
	"testing"
	"time"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/leanaggtest"
)

const blockSlot = 7

var parent = []byte{9}

// offerOf offers one component for each letter, of three votes each; a capital has a bad proof.
func offerOf(keys string) leanagg.BodyOffer {
	of := votes(1)
	offer := leanagg.BodyOffer{
		BlockSlot: blockSlot, Parent: parent, Head: of.Head, Justified: of.Justified, Keys: of.Keys,
	}
	for _, key := range keys {
		root := make([]byte, 32)
		root[0] = byte(key)
		proof := []byte("good")
		if key < 'a' {
			proof = []byte(leanaggtest.BadProof)
		}
		offer.Components = append(offer.Components, leanagg.BodyComponent{
			Key: string(key),
			Component: leanagg.Component{
				Root: &leanagg.SignedRoot{Root: root, Slot: 5}, Proof: proof, Participants: []byte{7},
			},
		})
	}
	return offer
}

// growing returns a node whose block's slot starts in about 28 s, and its candidate.
func growing(t *testing.T, options leanagg.Options) (*leanagg.Aggregator, *leanagg.BodyCandidate) {
	t.Helper()
	node := start(t, options)
	body, err := node.GrowBody(leanagg.BodyOptions{
		Gates: func() leanagg.Gates { return leanagg.Gates{HasState: true} }, ComponentsMax: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	return node, body
}

func keysOf(body *leanagg.Body) string {
	keys := ""
	if body != nil {
		for _, each := range body.Components {
			keys += each.Key
		}
	}
	return keys
}

// grow ticks until the best body has these components. No result of the candidate is the node's.
func grow(t *testing.T, node *leanagg.Aggregator, body *leanagg.BodyCandidate, offer, want string) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for keysOf(body.Best()) != want {
		if time.Now().After(end) {
			t.Fatalf("best is %q, want %q: %+v", keysOf(body.Best()), want, node.Stats())
		}
		if results := node.TakeResults(5); len(results) > 0 {
			t.Fatalf("results of the candidate: %+v", results)
		}
		body.Offer(5, offerOf(offer))
		time.Sleep(time.Millisecond)
	}
}

func TestBodyGrowsAndIsTakenWithItsClaims(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node, body := growing(t, leanagg.Options{Endpoints: []string{service.Address()}})
	if body.Take(blockSlot, parent) != nil {
		t.Error("a body before any offer")
	}
	grow(t, node, body, "a", "a")
	grow(t, node, body, "ab", "ab")
	grow(t, node, body, "abcd", "abc")
	for i, request := range service.Requests() {
		if got := len(request.GetSnapshot().GetGroups()[0].GetComponents()); got != i+1 {
			t.Errorf("merge %d has %d components", i, got)
		}
		if deadline := request.GetDeadlineMs(); deadline > 28_000 || deadline < 10_000 ||
			request.GetFenceMs() < deadline+400 || request.GetFenceMs() > deadline+500 {
			t.Errorf("deadline %d, fence %d", deadline, request.GetFenceMs())
		}
	}
	if got := node.Stats().Merges; got["proved"] != 3 || len(got) != 1 {
		t.Errorf("counted %v", got)
	}
	made := body.Take(blockSlot, parent)
	if keysOf(made) != "abc" || len(made.Claims) != 3 || len(made.Proof) == 0 {
		t.Errorf("took %+v", made)
	}
	if body.Take(blockSlot, parent) != nil {
		t.Error("a body is taken twice")
	}
}

func TestBodyLeavesABadComponentOut(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node, body := growing(t, leanagg.Options{Endpoints: []string{service.Address()}})
	grow(t, node, body, "aBc", "ac")
}

func TestBodyDoesNotAskForWhatIsWorthNothing(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node := start(t, leanagg.Options{Endpoints: []string{service.Address()}})
	body, err := node.GrowBody(leanagg.BodyOptions{
		Gates: func() leanagg.Gates { return leanagg.Gates{HasState: true} }, Grace: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	nothing := uint64(0)
	offer := offerOf("ab")
	offer.Components[0].Worth = &nothing
	for end := time.Now().Add(10 * time.Second); keysOf(body.Best()) == "" && time.Now().Before(end); {
		node.TakeResults(5)
		body.Offer(5, offer)
		time.Sleep(time.Millisecond)
	}
	if keysOf(body.Best()) != "b" {
		t.Errorf("best is %q", keysOf(body.Best()))
	}
	for _, request := range service.Requests() {
		if request.GetFenceMs() != request.GetDeadlineMs() {
			t.Errorf("deadline %d and fence %d without grace", request.GetDeadlineMs(), request.GetFenceMs())
		}
	}
}

func TestBodyReplacesAMergeByAFullerOne(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{ProveTime: time.Minute})
	node, body := growing(t, leanagg.Options{Endpoints: []string{service.Address()}})
	// The first runs, and the second waits when the third comes.
	for i, inFlight := range []int{1, 2, 2} {
		body.Offer(5, offerOf("abc"[:i+1]))
		for len(service.Requests()) <= i {
			time.Sleep(time.Millisecond)
		}
		awaitInFlight(t, node, inFlight)
		if results := node.TakeResults(5); len(results) > 0 {
			t.Errorf("results of the candidate: %+v", results)
		}
	}
	for i, request := range service.Requests() {
		components := len(request.GetSnapshot().GetGroups()[0].GetComponents())
		if components != i+1 || request.GetBusyPolicy() != aggregatorv1.BusyPolicy_BUSY_POLICY_REPLACE {
			t.Errorf("merge %d has %d components, %v", i, components, request.GetBusyPolicy())
		}
	}
	body.Forget()
	awaitInFlight(t, node, 0)
	if count := len(service.Requests()); count != 3 {
		t.Errorf("%d merges", count)
	}
}

func TestBodyIsForgottenWithItsParent(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{ProveTime: time.Minute})
	node, body := growing(t, leanagg.Options{Endpoints: []string{service.Address()}})
	submitted := func(count uint64) {
		t.Helper()
		for node.Stats().Submitted < count {
			body.Offer(5, offerOf("a"))
			time.Sleep(time.Millisecond)
		}
	}
	submitted(1)
	body.Forget()
	awaitInFlight(t, node, 0)
	submitted(2)
	other := offerOf("b")
	other.Parent = []byte{8}
	body.Offer(5, other)
	if results := node.TakeResults(5); len(results) > 0 {
		t.Errorf("results of the candidate: %+v", results)
	}
	if body.Best() != nil || body.Take(blockSlot, parent) != nil {
		t.Error("a body of the stale parent")
	}
}

// A predicate over what votes are about sees no merge.
func TestMergesAreCancelledByTheirRequestOnly(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{ProveTime: time.Minute})
	node, body := growing(t, leanagg.Options{Endpoints: []string{service.Address()}})
	body.Offer(5, offerOf("a"))
	merge := &leanagg.Merge{Components: []leanagg.Component{offerOf("b").Components[0].Component}}
	answer := node.MergeOrSkip(5, open, func() (*leanagg.Merge, error) { return merge, nil },
		leanagg.MergeOptions{Priority: leanagg.Backlog, Fence: 10 * time.Second})
	awaitInFlight(t, node, 2)
	if named := node.Cancel(func(leanagg.GroupInfo) bool { return true }); named != 0 {
		t.Errorf("%d merges named", named)
	}
	node.CancelRequest(answer.RequestID)
	result := take(t, node, 1)[0]
	if result.Kind != leanagg.Cancelled || result.RequestID != answer.RequestID {
		t.Errorf("%+v", result)
	}
	awaitInFlight(t, node, 1)
	node.CancelRequest(answer.RequestID) // it is over
	body.Forget()
	awaitInFlight(t, node, 0)
}

func TestBodyCountsOnlyVerifiedProofs(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node, body := growing(t, leanagg.Options{
		Endpoints: []string{service.Address()},
		Verify:    func(_ context.Context, outcome *leanagg.Outcome) bool { return len(outcome.GetClaims()) != 2 },
	})
	grow(t, node, body, "ab", "a")
	for node.Stats().Submitted < 3 { // the two are tried twice
		body.Offer(5, offerOf("ab"))
		node.TakeResults(5)
		time.Sleep(time.Millisecond)
	}
	if keysOf(body.Take(blockSlot, parent)) != "a" {
		t.Error("a proof that the node has not verified counts")
	}
}

// What a body's Take finds of votes is the node's next result, and Ready says so.
func TestBodyKeepsTheResultsOfVotes(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node, body := growing(t, leanagg.Options{Endpoints: []string{service.Address()}})
	submit(t, node, leanagg.SubmitOptions{}, 3)
	<-node.Ready()
	if body.Take(5, parent) != nil {
		t.Error("a body before any offer")
	}
	if results := take(t, node, 1); !isProof(results[0]) {
		t.Errorf("%+v", results)
	}
}

// What a body's Take leaves of votes is dropped at their fence.
func TestBodyLeavesTheResultsOfVotesToTheirFence(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node, body := growing(t, leanagg.Options{Endpoints: []string{service.Address()}})
	node.SubmitOrSkip(5, open, func() (*leanagg.Snapshot, error) { return votes(3), nil }, leanagg.SubmitOptions{})
	<-node.Ready()
	if body.Take(5, parent) != nil {
		t.Error("a body before any offer")
	}
	if results := node.TakeResults(7); len(results) > 0 || node.Stats().Fenced != 1 {
		t.Errorf("%+v; %+v", results, node.Stats())
	}
}

// Calls of several goroutines leave no merge in flight that the candidate does not know.
func TestBodyFromManyGoroutines(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node, body := growing(t, leanagg.Options{Endpoints: []string{service.Address()}})
	var all sync.WaitGroup
	for i := range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := range 100 {
				offer := offerOf("abc")
				offer.Parent = []byte{byte((i + n) % 3)}
				body.Offer(5, offer)
				body.Best()
				if n%7 == 0 {
					body.Forget()
				}
				if n%11 == 0 {
					body.Take(blockSlot, offer.Parent)
				}
				if results := node.TakeResults(5); len(results) > 0 {
					t.Errorf("results of the candidate: %+v", results)
				}
			}
		}()
	}
	all.Wait()
	body.Forget()
	awaitInFlight(t, node, 0)
	grow(t, node, body, "abc", "abc")
}

func TestBodyOptionsAreChecked(t *testing.T) {
	node := start(t, leanagg.Options{Endpoints: []string{"127.0.0.1:1"}})
	gates := func() leanagg.Gates { return leanagg.Gates{} }
	for _, options := range []leanagg.BodyOptions{
		{},
		{Gates: gates, ComponentsMax: -1},
		{Gates: gates, Priority: leanagg.Proposal},
	} {
		if _, err := node.GrowBody(options); err == nil {
			t.Errorf("no error for %+v", options)
		}
	}
}
