package leanagg

import (
	"context"
	"time"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

const (
	// verificationsMax is how many verifications of the node run side by side.
	verificationsMax = 4
	// cancelTimeout is the time limit of CancelSession.
	cancelTimeout = 500 * time.Millisecond
)

// dispatch passes an event to the machine and carries its effects out. It returns them. kept is the
// record of a submission. Hooks and the logger of the node run after it has let go of the lock.
func (a *Aggregator) dispatch(event machine.Event, kept *record) []machine.Effect {
	a.mu.Lock()
	if submitted, isSubmitted := event.(machine.Submitted); isSubmitted {
		a.keep(submitted.Submission.RequestID, kept)
	}
	nowMs := a.clock.nowMs()
	effects := a.machine.Handle(event, nowMs)
	balanced := []string{}
	for _, effect := range effects {
		switch e := effect.(type) {
		case machine.Skip:
			if e.RequestID != nil {
				a.reportLater(e)
			}
		case machine.Balanced:
			balanced = append(balanced, e.Endpoint)
		default:
			a.carryOut(effect)
		}
	}
	a.dropOver()
	a.signal(nowMs)
	if a.idle != nil && a.machine.IsIdle() {
		close(a.idle)
		a.idle = nil
	}
	a.mu.Unlock()
	for _, endpoint := range balanced {
		a.options.Logger.Warn("several services answer at this endpoint; give each one as an endpoint",
			"code", "endpoint_is_balanced", "endpoint", endpoint)
	}
	return effects
}

// laterSkip is the skip of a submitted request. mayPass: it was refused for what is not in it.
type laterSkip struct {
	Skip
	mayPass bool
}

// noteMayPass notes that the refusal of a request that follows is for what is not in it.
func (a *Aggregator) noteMayPass(requestID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if kept := a.records[requestID]; kept != nil {
		kept.mayPass = true
	}
}

// reportLater counts the skip of a submitted request, and queues it for its body or the node. The lock is held.
func (a *Aggregator) reportLater(effect machine.Skip) {
	skip := laterSkip{Skip: Skip{RequestID: *effect.RequestID, Reason: effect.Reason}}
	if kept := a.records[skip.RequestID]; kept != nil {
		skip.Slot, skip.Priority, skip.mayPass = kept.slot, kept.priority, kept.mayPass
	}
	a.countSkip(skip.Reason)
	a.unreported = append(a.unreported, skip)
	if a.isReporting {
		return
	}
	a.isReporting = true
	if !a.start(a.reportSkips) {
		go a.reportSkips() // of a closed adapter, nothing waits for it
	}
}

// reportSkips reports the queued skips, one after the other in their order, until the queue is empty. The goroutine
// that runs it holds no lock, reads no stream and sends no try: a hook may wait for the node.
func (a *Aggregator) reportSkips() {
	for {
		a.mu.Lock()
		if len(a.unreported) == 0 {
			a.isReporting = false
			a.mu.Unlock()
			return
		}
		skip := a.unreported[0]
		a.unreported = a.unreported[1:]
		a.mu.Unlock()
		if !a.anyBody(func(body *BodyCandidate) bool { return body.skipped(skip) }) {
			a.report(skip.Skip)
		}
	}
}

// carryOut does what one effect asks for. The lock is held: it starts, and waits for nothing.
func (a *Aggregator) carryOut(effect machine.Effect) {
	switch e := effect.(type) {
	case machine.Send:
		a.startTry(e)
	case machine.CancelCall:
		if !a.isClosed {
			a.cancels.Add(1)
			a.start(func() { defer a.cancels.Done(); a.cancelAt(e) })
		}
	case machine.Forget:
		if kept := a.records[e.RequestID]; kept != nil {
			kept.frozen = nil
		}
	case machine.Verify[*Outcome]:
		if kept := a.records[e.Ref.RequestID]; kept != nil {
			fenceAtMs := kept.fenceAtMs
			a.start(func() { a.verify(e, fenceAtMs) })
		}
	case machine.Summarised:
		a.metrics.workerSeconds.Observe(float64(e.DurationMs) / 1000)
	case machine.Count:
		a.count(e.Kind)
	}
}

func (a *Aggregator) count(kind machine.CountKind) {
	switch kind {
	case machine.CountLate:
		a.stats.Late++
		a.metrics.late.Inc()
	case machine.CountFenced:
		a.stats.Fenced++
		a.metrics.fenced.Inc()
	case machine.CountLost:
		a.stats.Lost++
		a.metrics.lost.Inc()
	case machine.CountDropped:
		a.stats.Dropped++
		a.metrics.dropped.Inc()
	}
}

// start runs a function beside the tick. It returns false when the adapter is closed.
func (a *Aggregator) start(run func()) bool {
	if a.isClosed {
		return false
	}
	a.running.Add(1)
	go func() {
		defer a.running.Done()
		run()
	}()
	return true
}

// keep notes the record of a new submission. The lock is held until the machine knows the request.
func (a *Aggregator) keep(requestID string, kept *record) {
	a.records[requestID] = kept
	a.stats.Submitted++
	if kept.onSubmit != nil {
		kept.onSubmit(requestID)
		kept.onSubmit = nil
	}
}

// dropOver drops the records of requests that are over, and ends their tries. It looks at the machine: there is
// no effect for a request that had lost its bytes before.
func (a *Aggregator) dropOver() {
	if len(a.records) == a.machine.InFlight() {
		return
	}
	for requestID, kept := range a.records {
		if a.machine.Knows(requestID) {
			continue
		}
		if kept.endTry != nil {
			kept.endTry()
		}
		delete(a.records, requestID)
	}
}

// signal wakes the reader of Ready when results wait, now or when the first of them is no longer held back.
func (a *Aggregator) signal(nowMs int64) {
	if a.machine.HasResults(nowMs) {
		a.notify()
		return
	}
	atMs, isHolding := a.machine.NextHoldMs(nowMs)
	if a.holding != nil {
		a.holding.Stop()
		a.holding = nil
	}
	if isHolding && !a.isClosed {
		a.holding = time.AfterFunc(time.Duration(atMs-nowMs)*time.Millisecond, a.notify)
	}
}

func (a *Aggregator) notify() {
	select {
	case a.ready <- struct{}{}:
	default:
	}
}

func (a *Aggregator) cancelAt(e machine.CancelCall) {
	at := a.endpointAt(e.Endpoint)
	ctx, end := context.WithTimeout(a.lives, cancelTimeout)
	defer end()
	request := &aggregatorv1.CancelSessionRequest{Node: a.node, RequestId: e.RequestID}
	for _, group := range e.Groups {
		request.GroupIndices = append(request.GroupIndices, uint32(group))
	}
	token, err := at.token(ctx, cancelTimeout)
	if err == nil {
		_, err = at.connection().cancel.CallUnary(ctx, newCall(request, token))
	}
	if err != nil {
		a.options.Logger.Debug("cancel failed", "endpoint", e.Endpoint, "request", e.RequestID, "error", err)
	}
}

// verify has the node verify a proof, when its turn comes. It gives up at the fence, when the machine drops the
// proof, and once the adapter is closed, when the machine has ended the group.
func (a *Aggregator) verify(e machine.Verify[*Outcome], fenceAtMs int64) {
	left := time.Duration(fenceAtMs-a.clock.nowMs()) * time.Millisecond
	ctx, end := context.WithTimeout(a.lives, left)
	defer end()
	select {
	case a.verifiers <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-a.verifiers }()
	if ctx.Err() != nil {
		return
	}
	select {
	case isValid := <-a.startVerify(ctx, e.Payload):
		if ctx.Err() == nil { // else it may have given up itself
			a.dispatch(machine.Verified{Ref: e.Ref, IsValid: isValid}, nil)
		}
	case <-ctx.Done():
		if a.lives.Err() == nil {
			a.options.Logger.Warn("Verify has not returned by the fence of its proof",
				"request", e.Ref.RequestID, "group", e.Ref.GroupIndex)
		}
	}
}

// startVerify calls the node's function on a goroutine of its own, which alone waits for one that does not return.
// Nothing comes from the channel once the adapter is closed.
func (a *Aggregator) startVerify(ctx context.Context, outcome *Outcome) <-chan bool {
	answer := make(chan bool, 1)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.start(func() { answer <- a.callVerify(ctx, outcome) })
	return answer
}

func (a *Aggregator) callVerify(ctx context.Context, outcome *Outcome) (isValid bool) {
	defer func() {
		if cause := recover(); cause != nil {
			a.options.Logger.Error("Verify panicked", "panic", cause)
			isValid = false
		}
	}()
	return a.options.Verify(ctx, outcome)
}

// countSkip counts a snapshot that was not submitted, or not accepted. The lock is held.
func (a *Aggregator) countSkip(reason SkipReason) {
	a.metrics.skipped.WithLabelValues(string(reason)).Inc()
	a.stats.Skipped[reason]++
}

// report passes a skip to the node.
func (a *Aggregator) report(skip Skip) {
	if a.options.OnSkip != nil {
		a.callHook(func() { a.options.OnSkip(skip) })
	}
	a.reportReason(skip)
}

// reportReason logs the error of a skip, and says that no service can be reached.
func (a *Aggregator) reportReason(skip Skip) {
	if skip.Err != nil {
		a.options.Logger.Warn("no snapshot", "slot", skip.Slot, "reason", string(skip.Reason), "error", skip.Err)
	}
	if skip.Reason == Unreachable && skip.RequestID == "" && a.options.OnUnreachable != nil {
		a.callHook(func() { a.options.OnUnreachable(skip.Slot) })
	}
}

// callHook calls a function of the node. A panic in it is logged.
func (a *Aggregator) callHook(hook func()) {
	defer func() {
		if cause := recover(); cause != nil {
			a.options.Logger.Error("hook panicked", "panic", cause)
		}
	}()
	hook()
}
