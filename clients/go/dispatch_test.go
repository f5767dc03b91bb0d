package leanagg

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
	"github.com/lean-aggregator/lean-aggregator/clients/go/leanaggtest"
)

// newNode makes an adapter with one endpoint.
func newNode(t *testing.T, endpoint string, options Options) *Aggregator {
	t.Helper()
	options.Endpoints, options.NodeID = []string{endpoint}, "node-1"
	options.Clock = SlotClock{Genesis: time.Now(), Slot: 4 * time.Second}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	node, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, end := context.WithCancel(context.Background())
		end()
		_ = node.Close(ctx) // what is cut off does not matter here
	})
	return node
}

// silentAddress accepts connections and says nothing: the endpoint is connecting, and takes submissions.
func silentAddress(t *testing.T) string {
	t.Helper()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	return silent.Addr().String()
}

func inFlight(node *Aggregator) int { return node.Stats().InFlight }

// logFunc is called with each record of a logger.
type logFunc func(record slog.Record)

func (f logFunc) Enabled(context.Context, slog.Level) bool { return true }
func (f logFunc) WithAttrs([]slog.Attr) slog.Handler       { return f }
func (f logFunc) WithGroup(string) slog.Handler            { return f }
func (f logFunc) Handle(_ context.Context, record slog.Record) error {
	f(record)
	return nil
}

// submitOne submits one group without data, with these options.
func submitOne(t *testing.T, node *Aggregator, options SubmitOptions) string {
	t.Helper()
	answer := node.SubmitOrSkip(5, Gates{IsAggregator: true, HasState: true},
		func() (*Snapshot, error) { return &Snapshot{Groups: []*Group{{}}}, nil }, options)
	if !answer.Submitted() {
		t.Fatalf("skipped: %s", answer.Skipped)
	}
	return answer.RequestID
}

// A logger of the node may ask the adapter, or wait for what another goroutine has asked of it.
func TestTheLoggerIsCalledWithoutTheLock(t *testing.T) {
	var node *Aggregator
	isFree := make(chan bool, 1)
	logger := slog.New(logFunc(func(record slog.Record) {
		if !strings.Contains(record.Message, "several services") {
			return
		}
		end := time.Now().Add(time.Second)
		for !node.mu.TryLock() { // others may hold it for a moment
			if time.Now().After(end) {
				isFree <- false
				return
			}
			time.Sleep(time.Millisecond)
		}
		node.mu.Unlock()
		isFree <- true
	}))
	node = newNode(t, silentAddress(t), Options{Logger: logger})
	at := node.endpoints[0].address.text
	id := submitOne(t, node, SubmitOptions{Deadline: time.Minute, Fence: time.Minute})
	node.dispatch(machine.Accepted{
		RequestID: id, Endpoint: at, ServiceID: "one", FenceAtMs: time.Minute.Milliseconds(),
	}, nil)
	node.dispatch(machine.Opening{Endpoint: at}, nil)
	node.dispatch(machine.Opened{
		Endpoint: at, ServiceID: "two", State: machine.StateReady,
		Awaited: []machine.AwaitedState{{RequestID: id}},
	}, nil)
	select {
	case free := <-isFree:
		if !free {
			t.Error("the logger is called under the adapter's lock")
		}
	case <-time.After(5 * time.Second):
		t.Error("a balanced endpoint is not logged")
	}
}

// A body that is forgotten while its merge is being submitted leaves no merge in flight.
func TestABodyIsForgottenWhileItsMergeIsSubmitted(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{ProveTime: time.Minute})
	node := newNode(t, service.Address(), Options{})
	body, err := node.GrowBody(BodyOptions{Gates: func() Gates { return Gates{HasState: true} }})
	if err != nil {
		t.Fatal(err)
	}
	root := &SignedRoot{Root: make([]byte, 32), Slot: 5}
	component := Component{Root: root, Proof: []byte("good"), Participants: []byte{7}}
	worth := uint64(1)
	// Its gates are closed: it asks for nothing by itself.
	body.options.Gates = func() Gates { return Gates{} }
	offer := BodyOffer{BlockSlot: 7, Components: []BodyComponent{{Component: component, Worth: &worth}}}
	body.Offer(5, offer)
	body.mu.Lock()
	ask := body.callsOf(body.machine.Tick(5)).ask
	body.mu.Unlock()
	forgotten := make(chan struct{})
	var calls bodyCalls
	answer := node.mergeOrSkip(5, Gates{HasState: true}, ask.merge, MergeOptions{Fence: 20 * time.Second}, &Skip{},
		func(requestID string) {
			calls = body.submitted(ask, requestID)
			go func() {
				defer close(forgotten)
				body.Forget()
			}()
			select {
			case <-forgotten:
			case <-time.After(50 * time.Millisecond):
			}
		})
	body.call(calls)
	<-forgotten
	if !answer.Submitted() {
		t.Fatalf("skipped: %s", answer.Skipped)
	}
	for end := time.Now().Add(2 * time.Second); inFlight(node) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the forgotten body's merge is in flight: %+v", node.Stats())
		}
	}
}

// A request whose bytes newer ones have taken is answered when its turn comes, and nothing is kept of it.
func TestARequestWithoutBytesIsAnsweredAndForgotten(t *testing.T) {
	skips := make(chan Skip, 10)
	node := newNode(t, silentAddress(t), Options{OnSkip: func(skip Skip) { skips <- skip }})
	node.mu.Lock()
	node.machine = machine.New[*Outcome](machine.Options{
		Endpoints: []string{node.endpoints[0].address.text}, BytesMax: 1,
	})
	node.mu.Unlock()
	submit := func(priority Priority) string {
		t.Helper()
		return submitOne(t, node, SubmitOptions{Priority: priority, Deadline: time.Minute, Fence: time.Minute})
	}
	older := submit(Aggregation)
	node.mu.Lock()
	kept := node.records[older]
	node.mu.Unlock()
	newer := submit(Backlog)
	// A try that waits for its turn meanwhile.
	ctx, end := context.WithCancel(context.Background())
	defer end()
	node.endpoints[0].sendOne(tryJob{
		send: machine.Send{RequestID: older, Endpoint: node.endpoints[0].address.text}, kept: kept, ctx: ctx, end: end,
	})
	select {
	case skip := <-skips:
		if skip.RequestID != older || skip.Reason != Unreachable {
			t.Errorf("%+v", skip)
		}
	case <-time.After(time.Second):
		t.Error("the try without bytes has no answer")
	}
	node.Cancel(func(GroupInfo) bool { return true })
	node.mu.Lock()
	defer node.mu.Unlock()
	if kept := node.records[older]; kept != nil || len(node.records) != node.machine.InFlight() {
		t.Errorf("%d records of %d requests, %s is the newest", len(node.records), node.machine.InFlight(), newer)
	}
}

// A node may call the adapter under a lock that its OnSkip takes too.
func TestASkipIsReportedOutsideOfTheNodesCalls(t *testing.T) {
	var state sync.Mutex
	skips := make(chan Skip, 1)
	node := newNode(t, silentAddress(t), Options{OnSkip: func(skip Skip) {
		state.Lock()
		defer state.Unlock()
		skips <- skip
	}})
	id := submitOne(t, node, SubmitOptions{})
	taken := make(chan struct{})
	go func() {
		defer close(taken)
		state.Lock()
		defer state.Unlock()
		node.TakeResults(7) // the slot of its fence
	}()
	select {
	case <-taken:
	case <-time.After(5 * time.Second):
		t.Fatal("TakeResults waits for OnSkip")
	}
	select {
	case skip := <-skips:
		if skip.RequestID != id || skip.Slot != 5 || skip.Reason != Unreachable {
			t.Errorf("%+v", skip)
		}
	case <-time.After(5 * time.Second):
		t.Error("the skip is not reported")
	}
}

func TestCloseReportsWhatItSkipsInOrder(t *testing.T) {
	skips := make(chan string, 2)
	node := newNode(t, silentAddress(t), Options{OnSkip: func(skip Skip) { skips <- skip.RequestID }})
	submitted := []string{
		submitOne(t, node, SubmitOptions{}), submitOne(t, node, SubmitOptions{Priority: Backlog}),
	}
	ctx, end := context.WithCancel(context.Background())
	end()
	if err := node.Close(ctx); err == nil {
		t.Error("no error of what was cut off")
	}
	for i, id := range submitted {
		select {
		case skipped := <-skips:
			if skipped != id {
				t.Errorf("skip %d is of %s, expected %s", i, skipped, id)
			}
		default:
			t.Errorf("skip %d is not reported when Close returns", i)
		}
	}
}

func TestARefusalIsLoggedAgainAfterTheStreamHasOpened(t *testing.T) {
	var logged []string
	node := newNode(t, silentAddress(t), Options{Logger: slog.New(logFunc(func(record slog.Record) {
		if record.Level == slog.LevelError {
			logged = append(logged, record.Message)
		}
	}))})
	at := node.endpoints[0]
	refusal := errors.New("node_id_in_use")
	at.warnOnce(refusal)
	at.warnOnce(refusal)
	at.take(&aggregatorv1.StreamResultsResponse{
		Event: &aggregatorv1.StreamResultsResponse_Opened{Opened: &aggregatorv1.Opened{ServiceId: "one"}},
	})
	at.warnOnce(refusal)
	at.warnOnce(&tokenError{cause: refusal})
	want := []string{
		"service refuses this node", "service refuses this node", "Token function of this node gives no token",
	}
	if !slices.Equal(logged, want) {
		t.Errorf("logged %q", logged)
	}
}
