package leanagg_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	"github.com/lean-aggregator/lean-aggregator/clients/go/leanaggtest"
	"github.com/lean-aggregator/lean-aggregator/clients/go/ssz"
)

var open = leanagg.Gates{IsAggregator: true, HasState: true}

// start makes an adapter for a test, and waits until its first endpoint is up if there is one.
func start(t *testing.T, options leanagg.Options) *leanagg.Aggregator {
	t.Helper()
	options.NodeID = "node-1"
	options.Clock = leanagg.SlotClock{Genesis: time.Now(), Slot: 4 * time.Second}
	options.Logger = slog.New(slog.DiscardHandler)
	node, err := leanagg.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cutOff(node) })
	return node
}

// cutOff closes an adapter without waiting for what is in flight.
func cutOff(node *leanagg.Aggregator) {
	ctx, end := context.WithCancel(context.Background())
	end()
	_ = node.Close(ctx) // what is cut off does not matter here
}

func awaitState(t *testing.T, node *leanagg.Aggregator, endpoint int, state string) {
	t.Helper()
	for range 5000 {
		if node.Stats().Endpoints[endpoint].State == state {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("endpoint %d is not %s: %+v", endpoint, state, node.Stats())
}

// votes makes a snapshot with one group for each number: that many signatures.
func votes(groups ...int) *leanagg.Snapshot {
	head := &leanagg.Checkpoint{Root: bytes.Repeat([]byte{9}, 32), Slot: 4}
	snapshot := &leanagg.Snapshot{Head: head, Justified: head}
	for validator := range 16 {
		snapshot.Keys = append(snapshot.Keys, &leanagg.ValidatorKey{
			ValidatorIndex: uint32(validator), PublicKey: bytes.Repeat([]byte{byte(validator + 1)}, 32),
		})
	}
	for i, count := range groups {
		point := &leanagg.Checkpoint{Root: bytes.Repeat([]byte{byte(i + 1)}, 32), Slot: 5}
		group := &leanagg.Group{
			Data: &leanagg.AttestationData{Slot: 5, Head: point, Target: point, Source: point},
		}
		for validator := range count {
			group.RawSignatures = append(group.RawSignatures, &leanagg.RawSignature{
				ValidatorIndex: uint32(validator), Signature: bytes.Repeat([]byte{7}, 40),
			})
		}
		snapshot.Groups = append(snapshot.Groups, group)
	}
	return snapshot
}

func submit(
	t *testing.T, node *leanagg.Aggregator, options leanagg.SubmitOptions, groups ...int,
) leanagg.Answer {
	t.Helper()
	if options.Fence == 0 {
		options.Fence = 10 * time.Second
	}
	if options.Deadline == 0 {
		options.Deadline = 10 * time.Second // the default is too short for a loaded machine
	}
	answer := node.SubmitOrSkip(5, open, func() (*leanagg.Snapshot, error) { return votes(groups...), nil }, options)
	if !answer.Submitted() {
		t.Fatalf("skipped: %s; %+v", answer.Skipped, node.Stats())
	}
	return answer
}

// take returns results until there are as many.
func take(t *testing.T, node *leanagg.Aggregator, count int) []leanagg.Result {
	t.Helper()
	var results []leanagg.Result
	timeout := time.After(15 * time.Second)
	for len(results) < count {
		select {
		case <-node.Ready():
			results = append(results, node.TakeResults(5)...)
		case <-timeout:
			t.Fatalf("%d of %d results: %+v; %+v", len(results), count, results, node.Stats())
		}
	}
	return results
}

func isProof(result leanagg.Result) bool {
	return result.Kind == leanagg.Ended && len(result.Outcome.GetProof()) > 0
}

func TestProofsComeBackForAllGroups(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node := start(t, leanagg.Options{Endpoints: []string{service.Address()}})
	answer := submit(t, node, leanagg.SubmitOptions{}, 3, 9)
	for i, result := range take(t, node, 2) {
		validators := ssz.Validators(result.Outcome.GetParticipants())
		if !isProof(result) || result.RequestID != answer.RequestID || result.GroupIndex != i ||
			result.Endpoint != service.Address() || len(validators) != []int{3, 9}[i] {
			t.Errorf("result %d: %+v", i, result)
		}
	}
}

func TestTheSnapshotIsFrozenWhenTheCallReturns(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node := start(t, leanagg.Options{Endpoints: []string{service.Address()}})
	snapshot := votes(2)
	node.SubmitOrSkip(5, open, func() (*leanagg.Snapshot, error) { return snapshot, nil }, leanagg.SubmitOptions{})
	for _, raw := range snapshot.GetGroups()[0].GetRawSignatures() {
		clear(raw.Signature)
	}
	take(t, node, 1)
	received := service.Requests()[0]
	raw := received.GetSnapshot().GetGroups()[0].GetRawSignatures()[1]
	if received.GetSnapshot().GetSlot() != 5 || !bytes.Equal(raw.GetSignature(), bytes.Repeat([]byte{7}, 40)) {
		t.Errorf("received %v", received)
	}
}

func TestASnapshotThatCannotBeMadeIsSkipped(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	var skips []leanagg.Skip
	node := start(t, leanagg.Options{
		Endpoints: []string{service.Address()},
		OnSkip:    func(skip leanagg.Skip) { skips = append(skips, skip) },
	})
	failure := errors.New("no state")
	for i, each := range []struct {
		snapshot func() (*leanagg.Snapshot, error)
		reason   leanagg.SkipReason
	}{
		{func() (*leanagg.Snapshot, error) { return nil, leanagg.ErrNothing }, leanagg.NothingToSubmit},
		{func() (*leanagg.Snapshot, error) { return votes(), nil }, leanagg.NothingToSubmit},
		{func() (*leanagg.Snapshot, error) { return nil, nil }, leanagg.NothingToSubmit},
		{func() (*leanagg.Snapshot, error) { return nil, failure }, leanagg.SnapshotThrew},
		{func() (*leanagg.Snapshot, error) { panic("no state") }, leanagg.SnapshotThrew},
	} {
		answer := node.SubmitOrSkip(5, open, each.snapshot, leanagg.SubmitOptions{})
		if answer.Skipped != each.reason || answer.Submitted() || skips[i].Reason != each.reason {
			t.Errorf("%d: %+v, %+v", i, answer, skips)
		}
	}
	if !errors.Is(skips[3].Err, failure) {
		t.Errorf("%+v", skips[3])
	}
}

func TestUnreachableIsToldInTheTick(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	service.Kill()
	var slots []uint64
	node := start(t, leanagg.Options{
		Endpoints:     []string{service.Address()},
		OnUnreachable: func(slot uint64) { slots = append(slots, slot); panic("a hook that panics") },
	})
	awaitState(t, node, 0, "down")
	answer := node.SubmitOrSkip(7, open, func() (*leanagg.Snapshot, error) { return votes(1), nil }, leanagg.SubmitOptions{})
	if answer.Skipped != leanagg.Unreachable || len(slots) != 1 || slots[0] != 7 {
		t.Errorf("%+v, %v", answer, slots)
	}
}

func TestResultsAreHeldBack(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node := start(t, leanagg.Options{Endpoints: []string{service.Address()}})
	until := time.Now().Add(300 * time.Millisecond)
	submit(t, node, leanagg.SubmitOptions{HoldUntil: until}, 1)
	take(t, node, 1)
	if early := time.Until(until); early > 5*time.Millisecond {
		t.Errorf("taken %v early", early)
	}
}

func TestGroupsAreCancelledByTheirData(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{ProveTime: 200 * time.Millisecond})
	node := start(t, leanagg.Options{Endpoints: []string{service.Address()}})
	submit(t, node, leanagg.SubmitOptions{}, 1, 1, 1)
	named := node.Cancel(func(g leanagg.GroupInfo) bool { return g.Data.GetTarget().GetRoot()[0] == 2 })
	kinds := map[int]leanagg.ResultKind{}
	for _, result := range take(t, node, 3) {
		kinds[result.GroupIndex] = result.Kind
	}
	if named != 1 || kinds[0] != leanagg.Ended || kinds[1] != leanagg.Cancelled || kinds[2] != leanagg.Ended {
		t.Errorf("%d named, %v", named, kinds)
	}
}

func TestOnlyGroupsThatHaveNotEndedAreCancelled(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{ProveTime: 150 * time.Millisecond})
	node := start(t, leanagg.Options{Endpoints: []string{service.Address()}})
	submit(t, node, leanagg.SubmitOptions{}, 1, 1, 1)
	if named := node.Cancel(func(leanagg.GroupInfo) bool { panic("a predicate that panics") }); named != 0 {
		t.Errorf("%d named by a panic", named)
	}
	<-node.Ready()
	named := node.Cancel(func(leanagg.GroupInfo) bool { return true })
	kinds := map[leanagg.ResultKind]int{}
	for _, result := range take(t, node, 3) {
		kinds[result.Kind]++
	}
	if named == 3 || kinds[leanagg.Cancelled] != named || kinds[leanagg.Ended] != 3-named {
		t.Errorf("%d named, %v", named, kinds)
	}
	if named := node.Cancel(func(leanagg.GroupInfo) bool { return true }); named != 0 {
		t.Errorf("%d named that have ended", named)
	}
}

func TestTheNodesVerificationDecides(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node := start(t, leanagg.Options{
		Endpoints: []string{service.Address()},
		Verify: func(_ context.Context, outcome *leanagg.Outcome) bool {
			if outcome.GetGroupIndex() == 2 {
				panic("a verification that panics")
			}
			return outcome.GetGroupIndex() == 0
		},
	})
	submit(t, node, leanagg.SubmitOptions{}, 1, 1, 1)
	for _, result := range take(t, node, 3) {
		if (result.Kind == leanagg.Ended) != (result.GroupIndex == 0) ||
			(result.Kind == leanagg.Refused) != (result.GroupIndex != 0) {
			t.Errorf("%+v", result)
		}
	}
}

// Verifications that wait for their turn when the adapter is closed are not made.
func TestNoVerificationBeginsAfterClose(t *testing.T) {
	const sideBySide = 4
	service := leanaggtest.Start(t, leanaggtest.Options{})
	var calls atomic.Int64
	release := make(chan struct{})
	node := start(t, leanagg.Options{
		Endpoints: []string{service.Address()},
		Verify: func(context.Context, *leanagg.Outcome) bool {
			calls.Add(1)
			<-release
			return true
		},
	})
	submit(t, node, leanagg.SubmitOptions{}, 1, 1, 1, 1, 1, 1)
	for end := time.Now().Add(20 * time.Second); calls.Load() < sideBySide && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	awaitInFlight(t, node, 0) // the summary follows the outcomes: the other two wait for their turn
	cutOff(node)
	close(release)
	time.Sleep(100 * time.Millisecond)
	if got := calls.Load(); got != sideBySide {
		t.Errorf("%d verifications, expected %d", got, sideBySide)
	}
}

func TestBitlistsWithALengthBit(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node := start(t, leanagg.Options{Endpoints: []string{service.Address()}})
	answers := 0
	for _, count := range []int{8, 3} { // the second proof has no participant that the first lacks
		snapshot := votes(count)
		snapshot.SszBitlists = true
		node.SubmitOrSkip(5, open, func() (*leanagg.Snapshot, error) { return snapshot, nil },
			leanagg.SubmitOptions{Fence: 10 * time.Second})
		result := take(t, node, 1)[0]
		answers++
		if answers == 1 {
			_, length, err := ssz.FromBitlist(result.Outcome.GetParticipants())
			if err != nil || length != 8 {
				t.Errorf("%x: %d, %v", result.Outcome.GetParticipants(), length, err)
			}
		} else if result.Kind != leanagg.Duplicate {
			t.Errorf("%+v", result)
		}
		awaitInFlight(t, node, 0)
	}
}

func awaitInFlight(t *testing.T, node *leanagg.Aggregator, count int) {
	t.Helper()
	for range 20_000 {
		if node.Stats().InFlight == count {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%+v", node.Stats())
}

func TestCloseWaitsForWhatIsInFlight(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{ProveTime: 100 * time.Millisecond})
	node := start(t, leanagg.Options{Endpoints: []string{service.Address()}})
	submit(t, node, leanagg.SubmitOptions{}, 1)
	if err := node.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if results := node.TakeResults(5); len(results) != 1 || !isProof(results[0]) {
		t.Errorf("%+v", results)
	}
	answer := node.SubmitOrSkip(6, open, func() (*leanagg.Snapshot, error) { return votes(1), nil }, leanagg.SubmitOptions{})
	if answer.Skipped != leanagg.Draining {
		t.Errorf("%+v", answer)
	}
	if err := node.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestCloseCutsOffWhatTakesTooLong(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{ProveTime: time.Minute})
	node := start(t, leanagg.Options{Endpoints: []string{service.Address()}})
	submit(t, node, leanagg.SubmitOptions{}, 1)
	ctx, end := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer end()
	if err := node.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	results := node.TakeResults(5)
	if len(results)+int(node.Stats().Skipped[leanagg.Draining]) != 1 || len(results) == 1 && results[0].Kind != leanagg.Lost {
		t.Errorf("%+v, %+v", results, node.Stats())
	}
}

func TestInvalidOptionsAreErrors(t *testing.T) {
	valid := leanagg.Options{
		Endpoints: []string{"127.0.0.1:1"}, NodeID: "n",
		Clock: leanagg.SlotClock{Genesis: time.Now(), Slot: time.Second},
	}
	for want, change := range map[string]func(*leanagg.Options){
		"Endpoints":  func(o *leanagg.Options) { o.Endpoints = nil },
		"NodeID":     func(o *leanagg.Options) { o.NodeID = "two words" },
		"Genesis":    func(o *leanagg.Options) { o.Clock.Genesis = time.Time{} },
		"Clock.Slot": func(o *leanagg.Options) { o.Clock.Slot = 0 },
		"host:port":  func(o *leanagg.Options) { o.Endpoints = []string{"nowhere"} },
		"absolute":   func(o *leanagg.Options) { o.Endpoints = []string{"unix:socket"} },
		"scheme":     func(o *leanagg.Options) { o.Endpoints = []string{"ftp://a:1"} },
		"clear text": func(o *leanagg.Options) {
			o.Endpoints = []string{"example.org:1"}
			o.Token = func(context.Context) (string, error) { return "t", nil }
		},
	} {
		options := valid
		change(&options)
		if _, err := leanagg.New(options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// A node that stalled submits for slots whose time is already over: that says nothing of the services.
func TestASubmissionPastItsTimeIsSkippedInTheTick(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	var later atomic.Int64
	node, err := leanagg.New(leanagg.Options{
		Endpoints: []string{service.Address()}, NodeID: "node-1", Logger: slog.New(slog.DiscardHandler),
		Clock: leanagg.SlotClock{Genesis: time.Now().Add(-time.Minute), Slot: 4 * time.Second},
		OnSkip: func(skip leanagg.Skip) {
			if skip.RequestID != "" {
				later.Add(1)
			}
		},
		OnUnreachable: func(uint64) { later.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cutOff(node) })
	slow := func() (*leanagg.Snapshot, error) {
		time.Sleep(20 * time.Millisecond)
		return votes(1), nil
	}
	for name, options := range map[string]leanagg.SubmitOptions{
		"slot":              {},
		"deadline":          {Deadline: -1, Fence: time.Minute},
		"fence":             {Fence: -1},
		"deadline meantime": {Deadline: 10 * time.Millisecond, Fence: time.Minute},
		"fence meantime":    {Fence: 10 * time.Millisecond},
	} {
		if answer := node.SubmitOrSkip(1, open, slow, options); answer.Skipped != leanagg.PredictedMiss {
			t.Errorf("%s: %+v", name, answer)
		}
	}
	stats := node.Stats()
	if stats.Submitted != 0 || stats.Skipped[leanagg.PredictedMiss] != 5 || later.Load() != 0 {
		t.Errorf("%+v, %d reports after the tick", stats, later.Load())
	}
}

func TestWithoutAWordVotesHaveTheSlotsStepsAndBacklogUntilTheFence(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node := start(t, leanagg.Options{Endpoints: []string{service.Address()}})
	of := func(groups int, options leanagg.SubmitOptions) {
		node.SubmitOrSkip(5, open, func() (*leanagg.Snapshot, error) { return votes(groups), nil }, options)
		take(t, node, 1)
		awaitInFlight(t, node, 0)
	}
	of(1, leanagg.SubmitOptions{})
	of(2, leanagg.SubmitOptions{Priority: leanagg.Backlog, Steps: []leanagg.Step{}})
	requests := service.Requests()
	votes, backlog := requests[0], requests[len(requests)-1]
	weights := []uint32{}
	for _, step := range votes.GetSteps() {
		weights = append(weights, step.GetWeight())
	}
	if !slices.Equal(weights, []uint32{4, 2, 1}) || votes.GetDeadlineMs() > 750 {
		t.Errorf("%d steps, deadline %d ms", weights, votes.GetDeadlineMs())
	}
	if last := votes.GetSteps()[2].GetUntilMs(); last+10 < votes.GetFenceMs() || last > votes.GetFenceMs()+10 {
		t.Errorf("the last step ends after %d ms, the fence is after %d ms", last, votes.GetFenceMs())
	}
	if len(backlog.GetSteps()) != 0 || backlog.GetDeadlineMs() != backlog.GetFenceMs() {
		t.Errorf("backlog: %d steps, deadline %d ms", len(backlog.GetSteps()), backlog.GetDeadlineMs())
	}
}
