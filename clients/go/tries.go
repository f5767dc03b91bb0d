package leanagg

import (
	"context"
	"net/http/httptrace"
	"sync"
	"time"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

const (
	// answerTime is how long a try may take beyond its deadline.
	answerTime = 2000 * time.Millisecond
	// writeTime is how long a try waits for the one before it to be written.
	writeTime = 250 * time.Millisecond
	// timeSlack is how much earlier a service may end a try whose time it counts itself.
	timeSlack = 10 * time.Millisecond
)

// tryJob is one try of a request at one endpoint.
type tryJob struct {
	send machine.Send
	kept *record
	ctx  context.Context
	end  context.CancelFunc
}

// queue is an unbounded queue of tries: the machine bounds them.
type queue struct {
	mu   sync.Mutex
	jobs []tryJob
	wake chan struct{}
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

func (q *queue) push(job tryJob) {
	q.mu.Lock()
	q.jobs = append(q.jobs, job)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) pop() (job tryJob, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		return tryJob{}, false
	}
	job = q.jobs[0]
	q.jobs = q.jobs[1:]
	return job, true
}

// startTry ends the request's earlier try and queues a new one. The lock is held.
func (a *Aggregator) startTry(send machine.Send) {
	kept := a.records[send.RequestID]
	at := a.endpointAt(send.Endpoint)
	if kept == nil || at == nil || a.isClosed {
		return
	}
	if send.IsResubmission {
		a.stats.Resubmitted++
		a.metrics.resubmitted.Inc()
	}
	if kept.endTry != nil {
		kept.endTry()
	}
	ctx, end := context.WithCancel(a.lives)
	kept.endTry = end
	job := tryJob{send: send, kept: kept, ctx: ctx, end: end}
	if send.AfterMs == 0 {
		at.tries.push(job)
		return
	}
	time.AfterFunc(time.Duration(send.AfterMs)*time.Millisecond, func() { at.tries.push(job) })
}

// sendTries sends the tries of one endpoint in their order, until the adapter is closed.
func (e *endpoint) sendTries() {
	defer e.owner.running.Done()
	for {
		select {
		case <-e.owner.lives.Done():
			return
		case <-e.tries.wake:
		}
		for {
			job, ok := e.tries.pop()
			if !ok {
				break
			}
			e.sendOne(job)
		}
	}
}

// sendOne starts a try, and returns when its request is written, so that the next one follows it.
func (e *endpoint) sendOne(job tryJob) {
	a := e.owner
	e.awaitStream(job.ctx)
	if job.ctx.Err() != nil {
		return
	}
	written := make(chan struct{})
	a.mu.Lock()
	isStarted := a.start(func() { e.call(job, written) })
	a.mu.Unlock()
	if !isStarted {
		return
	}
	select {
	case <-written:
	case <-time.After(writeTime):
	}
}

// limitAt is how long the try may take from this instant on.
func (j tryJob) limitAt(nowMs int64) time.Duration {
	return time.Duration(max(0, j.send.DeadlineAtMs-nowMs))*time.Millisecond + answerTime
}

// prepare makes the request of a try, with what is left of its times. Without one, it passes the reason to the
// machine, and returns nil.
func (e *endpoint) prepare(job tryJob, nowMs int64) *frozenRequest {
	a := e.owner
	deadlineMs, fenceMs := job.send.DeadlineAtMs-nowMs, job.send.FenceAtMs-nowMs
	a.mu.Lock()
	frozen := job.kept.frozen
	isFirst := !job.kept.isSent
	job.kept.isSent = true
	a.mu.Unlock()
	if frozen == nil { // newer requests have taken their place since
		e.refused(job.send.RequestID, machine.Unreachable)
		return nil
	}
	if isFirst && (deadlineMs < 1 || fenceMs < 1) {
		e.refused(job.send.RequestID, machine.PredictedMiss)
		return nil
	}
	if job.send.IsLookup {
		deadlineMs = 0
	}
	return &frozenRequest{frozen: frozen, budgets: budgets(deadlineMs, fenceMs, job.kept.steps, nowMs)}
}

// call makes one try and passes its answer to the machine. It closes written when the request is
// written, or when the try has ended.
func (e *endpoint) call(job tryJob, written chan struct{}) {
	a := e.owner
	defer job.end()
	onWritten := sync.OnceFunc(func() { close(written) })
	defer onWritten()
	token, err := e.token(job.ctx, job.limitAt(a.clock.nowMs()))
	if job.ctx.Err() != nil {
		return // another try has taken its place, or the adapter is closed
	}
	if err != nil {
		e.failed(job.send.RequestID, err, false)
		return
	}
	sentAtMs := a.clock.nowMs() // not before: the token has taken its time
	request := e.prepare(job, sentAtMs)
	if request == nil {
		return
	}
	limit := job.limitAt(sentAtMs)
	start := time.Now()
	ctx, end := context.WithTimeout(job.ctx, limit)
	defer end()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { onWritten() },
	})
	call := newCall(request, token)
	if job.kept.traceparent != "" {
		call.Header().Set("Traceparent", job.kept.traceparent)
	}
	at := e.connection()
	defer context.AfterFunc(at.lives, end)()
	response, err := at.submit.CallUnary(ctx, call)
	if job.ctx.Err() != nil {
		return
	}
	if err != nil && at.lives.Err() != nil {
		err = errGivenUp
	}
	if err != nil {
		e.failed(job.send.RequestID, err, time.Since(start) >= limit-timeSlack)
		return
	}
	e.answered(job.send.RequestID, response.Msg, sentAtMs)
}

// failed passes the end of a try without an answer to the machine. isOver: its time limit has passed.
func (e *endpoint) failed(requestID string, err error, isOver bool) {
	name := e.address.text
	failure := failureOf(err)
	if failure.reason == "" {
		e.owner.options.Logger.Debug("try failed", "endpoint", name, "request", requestID, "error", err)
		e.owner.dispatch(machine.Failed{
			RequestID: requestID, Endpoint: name, IsTimeout: failure.isTimeout && isOver,
		}, nil)
		return
	}
	e.warnOnce(err)
	if failure.mayPass {
		e.owner.noteMayPass(requestID)
	}
	e.refused(requestID, failure.reason)
}

func (e *endpoint) refused(requestID string, reason SkipReason) {
	e.owner.dispatch(machine.Refused{
		RequestID: requestID, Endpoint: e.address.text, Reason: reason,
	}, nil)
}

func (e *endpoint) answered(
	requestID string, answer *aggregatorv1.SubmitSnapshotResponse, sentAtMs int64,
) {
	name := e.address.text
	if accepted := answer.GetAccepted(); accepted != nil {
		e.owner.dispatch(machine.Accepted{
			RequestID: requestID,
			Endpoint:  name,
			ServiceID: accepted.GetServiceId(),
			FenceAtMs: sentAtMs + int64(accepted.GetFenceMs()),
		}, nil)
		return
	}
	skipped := answer.GetSkipped()
	if skipped == nil {
		e.failed(requestID, errNeither, false)
		return
	}
	e.refused(requestID, skipReason(skipped.GetReason()))
}
