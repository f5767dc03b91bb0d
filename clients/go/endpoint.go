package leanagg

import (
	"context"
	"errors"
	"net/http/httptrace"
	"sync"
	"time"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

const (
	// openTimeout is the time in which a stream must open.
	openTimeout = 2000 * time.Millisecond
	// silenceMax is the time without any event after which a stream is broken.
	silenceMax = 1500 * time.Millisecond
	// bytesPerMs is the slowest link for which a large event is no silence.
	bytesPerMs = 64
	// eventBytesMax is the most bytes of an event: a proof of 512 KiB, 42 bytes for each of 16,384 inputs
	// that it names, and some room. An announcement of more must not switch the watch for silence off.
	eventBytesMax = 2 << 20
	// reconnectMin and reconnectMax bound the wait before a stream is opened again.
	reconnectMin = 100 * time.Millisecond
	reconnectMax = 2000 * time.Millisecond
)

// endpoint keeps a result stream open and sends tries, in order, on one connection.
type endpoint struct {
	owner   *Aggregator
	address address
	tries   *queue
	// asking has room for one call of the node's token function.
	asking chan struct{}

	// mu guards what follows.
	mu      sync.Mutex
	current *connection
	// streamWritten is closed, by onWritten, when the request of the newest stream is written, or has failed. A
	// try that overtakes it could have events that neither the stream's request names nor the stream has.
	streamWritten chan struct{}
	onWritten     func()
	// warned is the text of the last warning since a stream has opened; empty: there was none.
	warned string

	// serviceID and offers are guarded by the aggregator's lock.
	serviceID string
	offers    []*Offer
}

func newEndpoint(owner *Aggregator, to address) *endpoint {
	e := &endpoint{owner: owner, address: to, tries: newQueue(), asking: make(chan struct{}, 1)}
	e.opening()()
	e.current = dial(to, owner.options.TLS)
	return e
}

func (e *endpoint) connection() *connection {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.current
}

// reconnect makes later calls use a new connection. giveUp ends the tries on the former one, and closes it.
func (e *endpoint) reconnect() (giveUp func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	giveUp = e.current.close
	e.current = dial(e.address, e.owner.options.TLS)
	return giveUp
}

func (e *endpoint) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.current.transport.CloseIdleConnections() // in order, where nothing is under way
	e.current.close()
}

// follow keeps the result stream open until the adapter is closed.
func (e *endpoint) follow() {
	defer e.owner.running.Done()
	ctx := e.owner.lives
	wait := reconnectMin
	for {
		hasOpened, isSilent := e.readStream(ctx)
		if ctx.Err() != nil {
			return
		}
		giveUp := func() {}
		if isSilent {
			giveUp = e.reconnect()
		}
		e.owner.dispatch(machine.Disconnected{Endpoint: e.address.text, IsSilent: isSilent}, nil)
		// Not before: a try that fails at an endpoint that is up, after its deadline, is over.
		giveUp()
		// Not before: the tries of requests that have lost their last endpoint are over.
		e.letTriesGo()
		if hasOpened {
			wait = reconnectMin
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		wait = min(2*wait, reconnectMax)
	}
}

// opening holds tries back until the returned function is called, or letTriesGo.
func (e *endpoint) opening() (onWritten func()) {
	written := make(chan struct{})
	onWritten = sync.OnceFunc(func() { close(written) })
	e.mu.Lock()
	defer e.mu.Unlock()
	e.streamWritten, e.onWritten = written, onWritten
	return onWritten
}

// letTriesGo ends what opening began: the attempt to open the stream is over.
func (e *endpoint) letTriesGo() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.onWritten()
}

// awaitStream waits until no stream is about to be opened, as long as the try is wanted. An attempt that does not
// end by itself holds nothing up.
func (e *endpoint) awaitStream(ctx context.Context) {
	e.mu.Lock()
	written := e.streamWritten
	e.mu.Unlock()
	select {
	case <-written:
	case <-ctx.Done():
	case <-time.After(openTimeout + lateMax):
	}
}

// errSilent ends a stream on which nothing has arrived for too long.
var errSilent = errors.New("nothing has arrived for longer than is allowed")

// readStream opens a stream and reads it until it breaks.
func (e *endpoint) readStream(parent context.Context) (hasOpened, isSilent bool) {
	token, err := e.token(parent, openTimeout)
	if err != nil {
		if parent.Err() == nil {
			e.logBroken(err)
		}
		return false, false
	}
	ctx, end := context.WithCancelCause(parent)
	defer end(nil)
	silence := startSilence(openTimeout, func() { end(errSilent) })
	defer silence.stop()
	onWritten := e.opening()
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(wrote httptrace.WroteRequestInfo) {
			if wrote.Err == nil {
				onWritten()
			}
		},
	})
	request := e.streamRequest()
	stream, err := e.connection().stream.CallServerStream(traced, newCall(request, token))
	if err == nil {
		for stream.Receive() {
			event := stream.Msg()
			hasOpened = hasOpened || event.GetOpened() != nil
			if hasOpened {
				silence.allow(silenceMax + sendingTime(event.GetSending()))
			}
			e.take(event)
		}
		err = stream.Err()
		_ = stream.Close()
	}
	isSilent = errors.Is(context.Cause(ctx), errSilent)
	if parent.Err() == nil && !isSilent && err != nil {
		e.logBroken(err)
	}
	return hasOpened, isSilent
}

// sendingTime is how long an announced event may take; 0 for none.
func sendingTime(sending *aggregatorv1.Sending) time.Duration {
	return time.Duration(min(sending.GetBytes(), eventBytesMax)/bytesPerMs) * time.Millisecond
}

func (e *endpoint) logBroken(err error) {
	if failureOf(err).reason != "" {
		e.warnOnce(err)
		return
	}
	e.owner.options.Logger.Debug("result stream broke", "endpoint", e.address.text, "error", err)
}

// warnOnce logs what every call will meet again: once, until the text changes or a stream has opened.
func (e *endpoint) warnOnce(err error) {
	text := err.Error()
	e.mu.Lock()
	isKnown := e.warned == text
	e.warned = text
	e.mu.Unlock()
	if !isKnown {
		e.owner.options.Logger.Error(headlineOf(err), "endpoint", e.address.text, "error", err)
	}
}

func (e *endpoint) forgetWarning() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.warned = ""
}

// streamRequest names the requests that the node awaits from this endpoint.
func (e *endpoint) streamRequest() *aggregatorv1.StreamResultsRequest {
	a, name := e.owner, e.address.text
	request := &aggregatorv1.StreamResultsRequest{Node: a.node}
	for _, effect := range a.dispatch(machine.Opening{Endpoint: name}, nil) {
		await, isAwait := effect.(machine.Await)
		if !isAwait {
			continue
		}
		for _, each := range await.Requests {
			awaited := &aggregatorv1.Awaited{RequestId: each.RequestID}
			for _, group := range each.ReceivedGroups {
				awaited.ReceivedGroups = append(awaited.ReceivedGroups, uint32(group))
			}
			request.Awaited = append(request.Awaited, awaited)
		}
	}
	return request
}

// take passes one event of the stream to the machine. An unknown event is ignored.
func (e *endpoint) take(event *aggregatorv1.StreamResultsResponse) {
	name := e.address.text
	switch each := event.GetEvent().(type) {
	case *aggregatorv1.StreamResultsResponse_Opened:
		e.forgetWarning()
		e.note(each.Opened.GetServiceId(), each.Opened.GetStatus())
		e.owner.dispatch(openedEvent(name, each.Opened), nil)
	case *aggregatorv1.StreamResultsResponse_Status:
		e.note("", each.Status)
		e.owner.dispatch(machine.Status{Endpoint: name, State: stateOf(each.Status)}, nil)
	case *aggregatorv1.StreamResultsResponse_Outcome:
		e.owner.takeOutcome(name, each.Outcome)
	case *aggregatorv1.StreamResultsResponse_Summary:
		e.owner.dispatch(machine.Summary{
			Endpoint:   name,
			RequestID:  each.Summary.GetRequestId(),
			DurationMs: int64(each.Summary.GetDurationMs()),
		}, nil)
	}
}

// openedEvent leaves out a request with a state that this client does not know.
func openedEvent(name string, opened *aggregatorv1.Opened) machine.Opened {
	event := machine.Opened{
		Endpoint: name, ServiceID: opened.GetServiceId(), State: stateOf(opened.GetStatus()),
	}
	for _, each := range opened.GetAwaited() {
		isKnown := each.GetState() == aggregatorv1.RequestState_REQUEST_STATE_IN_FLIGHT ||
			each.GetState() == aggregatorv1.RequestState_REQUEST_STATE_ENDED
		isUnknown := each.GetState() == aggregatorv1.RequestState_REQUEST_STATE_UNKNOWN
		if isKnown || isUnknown {
			awaited := machine.AwaitedState{RequestID: each.GetRequestId(), IsKnown: isKnown}
			event.Awaited = append(event.Awaited, awaited)
		}
	}
	return event
}

// note remembers what the service says of itself, for Stats.
func (e *endpoint) note(serviceID string, status *aggregatorv1.Status) {
	e.owner.mu.Lock()
	defer e.owner.mu.Unlock()
	if serviceID != "" {
		e.serviceID = serviceID
	}
	e.offers = status.GetOffers()
}

// takeOutcome passes an outcome on. That of a request that is over says nothing.
func (a *Aggregator) takeOutcome(endpoint string, outcome *Outcome) {
	a.mu.Lock()
	kept := a.records[outcome.GetRequestId()]
	a.mu.Unlock()
	if kept != nil {
		a.dispatch(outcomeEvent(endpoint, outcome, kept.hasLengthBit), nil)
	}
}
