package leanaggtest

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	rpc "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1/aggregatorv1connect"
)

// handler answers the calls that adapters make. Others are unimplemented.
type handler struct {
	rpc.UnimplementedAggregatorServiceHandler
	service *Service
}

// SubmitSnapshot accepts or skips a snapshot.
func (h *handler) SubmitSnapshot(
	_ context.Context, call *connect.Request[aggregatorv1.SubmitSnapshotRequest],
) (*connect.Response[aggregatorv1.SubmitSnapshotResponse], error) {
	s := h.service
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = append(s.received, call.Msg)
	s.traceparents = append(s.traceparents, call.Header().Get("Traceparent"))
	answer := s.submit(call.Msg)
	if answer.GetAccepted() != nil && s.losses > 0 {
		s.losses--
		panic(http.ErrAbortHandler) // the call breaks without an answer
	}
	return connect.NewResponse(answer), nil
}

func (s *Service) submit(request *aggregatorv1.SubmitSnapshotRequest) *aggregatorv1.SubmitSnapshotResponse {
	key := sessionKey{request.GetNode().GetNodeId(), request.GetRequestId()}
	if known := s.sessions[key]; known != nil {
		return s.accepted(known)
	}
	switch {
	case s.state == aggregatorv1.ServiceState_SERVICE_STATE_DRAINING:
		return skipped(aggregatorv1.SkipReason_SKIP_REASON_DRAINING)
	case s.state == aggregatorv1.ServiceState_SERVICE_STATE_NO_PROVER:
		return skipped(aggregatorv1.SkipReason_SKIP_REASON_NO_PROVER)
	case request.DeadlineMs != nil && request.GetDeadlineMs() == 0:
		return skipped(aggregatorv1.SkipReason_SKIP_REASON_PREDICTED_MISS)
	}
	for _, busy := range s.inFlight(request) {
		if request.GetBusyPolicy() != aggregatorv1.BusyPolicy_BUSY_POLICY_REPLACE {
			return skipped(aggregatorv1.SkipReason_SKIP_REASON_IN_FLIGHT)
		}
		s.supersede(busy)
	}
	now := time.Now()
	made := &session{
		node:       request.GetNode(),
		request:    request,
		receivedAt: now,
		deadlineAt: now.Add(time.Duration(request.GetDeadlineMs()) * time.Millisecond),
		fenceAt:    now.Add(time.Duration(request.GetFenceMs()) * time.Millisecond),
	}
	for range request.GetSnapshot().GetGroups() {
		made.groups = append(made.groups, &groupState{stop: make(chan struct{})})
	}
	s.sessions[key] = made
	s.order = append(s.order, made)
	s.wake.Broadcast()
	return s.accepted(made)
}

// inFlight returns the node's sessions of the request's priority and kind of proof that have not ended.
func (s *Service) inFlight(request *aggregatorv1.SubmitSnapshotRequest) []*session {
	var found []*session
	for _, each := range s.order {
		if each.node.GetNodeId() == request.GetNode().GetNodeId() && each.unended() > 0 &&
			urgency(each) == urgency(&session{request: request}) &&
			isMerge(each.request) == isMerge(request) {
			found = append(found, each)
		}
	}
	return found
}

func isMerge(request *aggregatorv1.SubmitSnapshotRequest) bool {
	groups := request.GetSnapshot().GetGroups()
	return len(groups) > 0 && groups[0].GetKind() == aggregatorv1.ProofKind_PROOF_KIND_MERGE
}

func (s *Service) supersede(each *session) {
	for i, group := range each.groups {
		if !group.isRunning {
			s.endGroup(each, i, aggregatorv1.OutcomeStatus_OUTCOME_STATUS_NOT_STARTED,
				aggregatorv1.OutcomeReason_OUTCOME_REASON_SUPERSEDED)
		}
	}
}

func (s *Service) accepted(each *session) *aggregatorv1.SubmitSnapshotResponse {
	return &aggregatorv1.SubmitSnapshotResponse{
		Result: &aggregatorv1.SubmitSnapshotResponse_Accepted{Accepted: &aggregatorv1.Accepted{
			RequestId:  each.request.GetRequestId(),
			DeadlineMs: leftMs(each.deadlineAt),
			FenceMs:    leftMs(each.fenceAt),
			ServiceId:  s.options.ServiceID,
		}},
	}
}

func leftMs(at time.Time) uint32 { return uint32(max(0, time.Until(at).Milliseconds())) }

func skipped(reason aggregatorv1.SkipReason) *aggregatorv1.SubmitSnapshotResponse {
	return &aggregatorv1.SubmitSnapshotResponse{
		Result: &aggregatorv1.SubmitSnapshotResponse_Skipped{
			Skipped: &aggregatorv1.Skipped{Reason: reason},
		},
	}
}

// CancelSession ends groups of a session.
func (h *handler) CancelSession(
	_ context.Context, call *connect.Request[aggregatorv1.CancelSessionRequest],
) (*connect.Response[aggregatorv1.CancelSessionResponse], error) {
	s := h.service
	s.mu.Lock()
	defer s.mu.Unlock()
	each := s.sessions[sessionKey{call.Msg.GetNode().GetNodeId(), call.Msg.GetRequestId()}]
	if each == nil {
		return nil, connect.NewError(connect.CodeNotFound, errors.New("unknown request"))
	}
	named := map[uint32]bool{}
	for _, index := range call.Msg.GetGroupIndices() {
		named[index] = true
	}
	for i, group := range each.groups {
		if len(named) > 0 && !named[uint32(i)] {
			continue
		}
		status := aggregatorv1.OutcomeStatus_OUTCOME_STATUS_NOT_STARTED
		if group.isRunning {
			status = aggregatorv1.OutcomeStatus_OUTCOME_STATUS_STOPPED
		}
		s.endGroup(each, i, status, aggregatorv1.OutcomeReason_OUTCOME_REASON_CANCELLED)
	}
	return connect.NewResponse(&aggregatorv1.CancelSessionResponse{}), nil
}

// stream is one open StreamResults call.
type stream struct {
	nodeID string
	epoch  uint64

	mu      sync.Mutex
	events  []*aggregatorv1.StreamResultsResponse
	wake    chan struct{}
	err     error
	isEnded bool
}

func (st *stream) push(event *aggregatorv1.StreamResultsResponse) {
	st.mu.Lock()
	st.events = append(st.events, event)
	st.mu.Unlock()
	st.signal()
}

func (st *stream) end(err error) {
	st.mu.Lock()
	st.isEnded, st.err = true, err
	st.mu.Unlock()
	st.signal()
}

func (st *stream) signal() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

func (st *stream) drain() (events []*aggregatorv1.StreamResultsResponse, isEnded bool, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	events, st.events = st.events, nil
	return events, st.isEnded, st.err
}

// StreamResults sends what an adapter has missed, then what happens.
func (h *handler) StreamResults(
	ctx context.Context, call *connect.Request[aggregatorv1.StreamResultsRequest],
	to *connect.ServerStream[aggregatorv1.StreamResultsResponse],
) error {
	s := h.service
	st := s.open(call.Msg)
	defer func() {
		s.mu.Lock()
		delete(s.streams, st)
		s.mu.Unlock()
	}()
	for {
		events, isEnded, err := st.drain()
		for _, event := range events {
			if err := to.Send(event); err != nil {
				return err
			}
		}
		if isEnded {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-st.wake:
		case <-time.After(s.options.Heartbeat):
			st.push(&aggregatorv1.StreamResultsResponse{
				Event: &aggregatorv1.StreamResultsResponse_Heartbeat{Heartbeat: &aggregatorv1.Heartbeat{}},
			})
		}
	}
}

// open registers a stream, with the answers to what it awaits.
func (s *Service) open(request *aggregatorv1.StreamResultsRequest) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &stream{
		nodeID: request.GetNode().GetNodeId(),
		epoch:  request.GetNode().GetNodeEpoch(),
		wake:   make(chan struct{}, 1),
	}
	opened := &aggregatorv1.Opened{
		ServiceId: s.options.ServiceID, Run: s.run(), Status: s.status(),
		Limits: &aggregatorv1.Limits{HeartbeatMs: uint32(s.options.Heartbeat.Milliseconds()), AwaitedMax: 64},
	}
	missed := []*aggregatorv1.StreamResultsResponse{}
	for _, awaited := range request.GetAwaited() {
		state := &aggregatorv1.AwaitedState{
			RequestId: awaited.GetRequestId(), State: aggregatorv1.RequestState_REQUEST_STATE_UNKNOWN,
		}
		if each := s.sessions[sessionKey{st.nodeID, awaited.GetRequestId()}]; each != nil {
			state.State = aggregatorv1.RequestState_REQUEST_STATE_IN_FLIGHT
			if each.unended() == 0 {
				state.State = aggregatorv1.RequestState_REQUEST_STATE_ENDED
			}
			missed = append(missed, missedOf(each, awaited.GetReceivedGroups())...)
		}
		opened.Awaited = append(opened.Awaited, state)
	}
	st.push(&aggregatorv1.StreamResultsResponse{
		Event: &aggregatorv1.StreamResultsResponse_Opened{Opened: opened},
	})
	for _, each := range s.order {
		if each.isOf(st) {
			missed = append(missed, each.unsent...)
			each.unsent = nil
		}
	}
	s.streams[st] = true
	for _, event := range missed {
		st.push(event)
	}
	if s.isKilled {
		st.end(nil)
	}
	return st
}

func missedOf(each *session, received []uint32) []*aggregatorv1.StreamResultsResponse {
	has := map[int]bool{}
	for _, index := range received {
		has[int(index)] = true
	}
	missed := []*aggregatorv1.StreamResultsResponse{}
	for i, group := range each.groups {
		if group.outcome != nil && !has[i] {
			missed = append(missed, &aggregatorv1.StreamResultsResponse{
				Event: &aggregatorv1.StreamResultsResponse_Outcome{Outcome: group.outcome},
			})
		}
	}
	if each.summary != nil {
		missed = append(missed, summaryEvent(each.summary))
	}
	return missed
}

// publish sends an event to the streams of the session's node and run. Without one, the next stream
// gets it: net/http may run the handler of a submission before that of an earlier stream.
func (s *Service) publish(each *session, event *aggregatorv1.StreamResultsResponse) {
	isSent := false
	for st := range s.streams {
		if each.isOf(st) {
			st.push(event)
			isSent = true
		}
	}
	if !isSent {
		each.unsent = append(each.unsent, event)
	}
}

func (s *session) isOf(st *stream) bool {
	isOfRun := st.epoch == 0 || st.epoch == s.node.GetNodeEpoch()
	return st.nodeID == s.node.GetNodeId() && isOfRun
}
