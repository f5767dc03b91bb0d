package leanagg_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	rpc "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1/aggregatorv1connect"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/faultnet"
)

// scripted is a service that does nothing but what a transcript says.
type scripted struct {
	rpc.UnimplementedAggregatorServiceHandler
	server *faultnet.Server

	mu             sync.Mutex
	serviceID, run string
	streams        []*scriptedStream
	submissions    []*scriptedCall
	cancels        []*aggregatorv1.CancelSessionRequest
	arrived        []byte // all bytes that have arrived, over all connections
	seenStreams    int
	seenSubmits    int
	seenCancels    int
}

type scriptedStream struct {
	request *aggregatorv1.StreamResultsRequest
	events  chan *aggregatorv1.StreamResultsResponse
	end     chan error
	broken  <-chan struct{}
	silence chan struct{}
	once    sync.Once
}

type scriptedCall struct {
	request    *aggregatorv1.SubmitSnapshotRequest
	isAnswered bool
	answer     chan scriptedAnswer
}

type scriptedAnswer struct {
	response *aggregatorv1.SubmitSnapshotResponse
	err      error
}

// newScripted reserves a port and does not serve on it yet.
func newScripted(t *testing.T) *scripted {
	s := &scripted{}
	mux := http.NewServeMux()
	mux.Handle(rpc.NewAggregatorServiceHandler(s))
	server, err := faultnet.Listen(mux, nil)
	if err != nil {
		t.Fatal(err)
	}
	server.Kill()
	server.OnRead = func(bytes []byte) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.arrived = append(s.arrived, bytes...)
	}
	s.server = server
	t.Cleanup(server.Kill)
	return s
}

func (s *scripted) start(t *testing.T, serviceID, run string) {
	t.Helper()
	s.mu.Lock()
	s.serviceID, s.run = serviceID, run
	s.mu.Unlock()
	if err := s.server.Serve(); err != nil {
		t.Fatal(err)
	}
}

func (s *scripted) SubmitSnapshot(
	ctx context.Context, call *connect.Request[aggregatorv1.SubmitSnapshotRequest],
) (*connect.Response[aggregatorv1.SubmitSnapshotResponse], error) {
	each := &scriptedCall{request: call.Msg, answer: make(chan scriptedAnswer, 1)}
	s.mu.Lock()
	s.submissions = append(s.submissions, each)
	slices.SortStableFunc(s.submissions[s.seenSubmits:], func(a, b *scriptedCall) int {
		return cmp.Compare(s.arrivedAt(a), s.arrivedAt(b))
	})
	s.mu.Unlock()
	select {
	case answer := <-each.answer:
		if answer.err != nil {
			return nil, answer.err
		}
		return connect.NewResponse(answer.response), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// arrivedAt says where a request arrived on the wire: net/http may start the handlers of two requests
// in another order. It is exact for the first submission of a request id.
func (s *scripted) arrivedAt(call *scriptedCall) int {
	return bytes.Index(s.arrived, []byte(call.request.GetRequestId()))
}

// hasArrivedBefore says whether a request of this id arrived on the wire before the call.
func (s *scripted) hasArrivedBefore(requestID string, call *scriptedCall) bool {
	at := bytes.Index(s.arrived, []byte(requestID))
	return at >= 0 && at < s.arrivedAt(call)
}

// streamArrivedAt is arrivedAt for a stream. It is exact for the first stream with its request.
func (s *scripted) streamArrivedAt(request *aggregatorv1.StreamResultsRequest) int {
	message, err := proto.Marshal(request)
	if err != nil {
		return -1
	}
	frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
	return bytes.Index(s.arrived, append(frame, message...))
}

func (s *scripted) CancelSession(
	_ context.Context, call *connect.Request[aggregatorv1.CancelSessionRequest],
) (*connect.Response[aggregatorv1.CancelSessionResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancels = append(s.cancels, call.Msg)
	return connect.NewResponse(&aggregatorv1.CancelSessionResponse{}), nil
}

func (s *scripted) StreamResults(
	ctx context.Context, call *connect.Request[aggregatorv1.StreamResultsRequest],
	to *connect.ServerStream[aggregatorv1.StreamResultsResponse],
) error {
	st := &scriptedStream{
		request: call.Msg,
		events:  make(chan *aggregatorv1.StreamResultsResponse, 100),
		end:     make(chan error, 1),
		broken:  ctx.Done(),
		silence: make(chan struct{}),
	}
	s.mu.Lock()
	s.streams = append(s.streams, st)
	s.mu.Unlock()
	for {
		select {
		case event := <-st.events:
			if err := to.Send(event); err != nil {
				return err
			}
		case err := <-st.end:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// beat sends heartbeats until the stream's silence.
func (st *scriptedStream) beat() {
	for {
		select {
		case <-time.After(500 * time.Millisecond):
			st.events <- &aggregatorv1.StreamResultsResponse{
				Event: &aggregatorv1.StreamResultsResponse_Heartbeat{Heartbeat: &aggregatorv1.Heartbeat{}},
			}
		case <-st.silence:
			return
		case <-st.broken:
			return
		}
	}
}

// newest returns the stream that was opened last.
func (s *scripted) newest() *scriptedStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.streams) == 0 {
		return nil
	}
	return s.streams[len(s.streams)-1]
}

func (s *scripted) silenceAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		st.once.Do(func() { close(st.silence) })
	}
}

// answer answers the oldest unanswered submission of a request.
func (s *scripted) answer(
	t *testing.T, requestID string, make func(*aggregatorv1.SubmitSnapshotRequest) scriptedAnswer,
) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, each := range s.submissions {
		if each.request.GetRequestId() == requestID && !each.isAnswered {
			each.isAnswered = true
			each.answer <- make(each.request)
			return
		}
	}
	t.Fatalf("no unanswered submission of %s", requestID)
}
