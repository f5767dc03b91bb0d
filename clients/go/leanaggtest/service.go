// Package leanaggtest has a service for tests of nodes and adapters: it speaks lean.aggregator.v1 on
// a loopback port, proves nothing, and can be killed, frozen, restarted, drained and slowed down.
//
//	service := leanaggtest.Start(t, leanaggtest.Options{ProveTime: 50 * time.Millisecond})
//	node, err := leanagg.New(leanagg.Options{Endpoints: []string{service.Address()}, ...})
//
// Its proofs are bytes that name their participants; they verify nowhere. A merge with a component
// whose proof is [BadProof] is rejected, and names it.
package leanaggtest

import (
	"crypto/tls"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	rpc "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1/aggregatorv1connect"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/faultnet"
)

// BadProof is the proof of a component that is bad.
const BadProof = "bad"

// Options configure a [Service]. The zero value is the default.
type Options struct {
	// ServiceID names the service over all its runs. Default: its address.
	ServiceID string
	// ProveTime is how long one proof takes. Default 0.
	ProveTime time.Duration
	// Heartbeat is the silence after which a stream gets a heartbeat. Default 500 ms.
	Heartbeat time.Duration
	// ProofBytes is the size of a proof. Default 64.
	ProofBytes int
	// TLS is the configuration of TLS, with a certificate. Default: none, plain HTTP/2.
	TLS *tls.Config
	// Token is what callers must present. Default: none.
	Token string
}

// Service is an aggregation service that proves nothing. Its methods may be called from any
// goroutine.
type Service struct {
	server  *faultnet.Server
	options Options

	mu    sync.Mutex
	wake  *sync.Cond
	runs  int
	state aggregatorv1.ServiceState
	// losses is how many acknowledgements are lost from now on.
	losses       int
	sessions     map[sessionKey]*session
	order        []*session
	streams      map[*stream]bool
	received     []*aggregatorv1.SubmitSnapshotRequest
	traceparents []string
	isKilled     bool
	// killed is closed when this run is killed.
	killed chan struct{}
	prover sync.WaitGroup
}

// Start starts a service and stops it at the end of the test.
func Start(t testing.TB, options Options) *Service {
	t.Helper()
	s, err := New(options)
	if err != nil {
		t.Fatalf("leanaggtest: %v", err)
	}
	t.Cleanup(s.Kill)
	return s
}

// New starts a service outside of a test. Kill stops it.
func New(options Options) (*Service, error) {
	if options.Heartbeat == 0 {
		options.Heartbeat = 500 * time.Millisecond
	}
	if options.ProofBytes == 0 {
		options.ProofBytes = 64
	}
	s := &Service{options: options}
	s.wake = sync.NewCond(&s.mu)
	s.begin()
	mux := http.NewServeMux()
	mux.Handle(rpc.NewAggregatorServiceHandler(&handler{service: s}))
	server, err := faultnet.Listen(s.authenticated(mux), options.TLS)
	if err != nil {
		return nil, err
	}
	s.server = server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.options.ServiceID == "" {
		s.options.ServiceID = server.Address()
	}
	return s, nil
}

// authenticated refuses calls without the token.
func (s *Service) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(to http.ResponseWriter, request *http.Request) {
		if s.options.Token != "" && request.Header.Get("Authorization") != "Bearer "+s.options.Token {
			to.Header().Set("Content-Type", "application/grpc")
			to.Header().Set("Grpc-Status", "16")
			to.Header().Set("Grpc-Message", "the token is missing or invalid")
			return
		}
		next.ServeHTTP(to, request)
	})
}

// begin forgets everything, as a new process does, and starts a prover.
func (s *Service) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs++
	s.isKilled = false
	s.state = aggregatorv1.ServiceState_SERVICE_STATE_READY
	s.sessions = map[sessionKey]*session{}
	s.order = nil
	s.streams = map[*stream]bool{}
	s.killed = make(chan struct{})
	s.prover.Add(1)
	go func() {
		defer s.prover.Done()
		s.prove()
	}()
}

// Address is the service's host:port, which it keeps.
func (s *Service) Address() string { return s.server.Address() }

// Kill ends the service at once, as kill -9 does: connections break, and all sessions are lost.
func (s *Service) Kill() {
	s.mu.Lock()
	if !s.isKilled {
		s.isKilled = true
		close(s.killed)
	}
	s.losses = 0
	for each := range s.streams {
		each.end(nil)
	}
	s.wake.Broadcast()
	s.mu.Unlock()
	s.server.Kill()
	s.prover.Wait()
}

// Restart starts a killed service again, at the same address, with the same ServiceID and a new run.
func (s *Service) Restart() error {
	s.begin()
	return s.server.Serve()
}

// Freeze stops the service's network, as SIGSTOP does. Its proofs go on.
func (s *Service) Freeze() { s.server.Freeze() }

// Thaw ends a freeze.
func (s *Service) Thaw() { s.server.Thaw() }

// LoseAcknowledgements lets the service take the next n snapshots without an answer: their calls
// break.
func (s *Service) LoseAcknowledgements(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.losses = n
}

// SetProveTime changes how long one proof takes, from the next proof on.
func (s *Service) SetProveTime(each time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.ProveTime = each
}

// Drain ends what has not started, and skips new snapshots as draining.
func (s *Service) Drain() {
	s.setState(aggregatorv1.ServiceState_SERVICE_STATE_DRAINING)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, each := range s.order {
		for i, group := range each.groups {
			if !group.isRunning && group.outcome == nil {
				s.endGroup(each, i, aggregatorv1.OutcomeStatus_OUTCOME_STATUS_NOT_STARTED,
					aggregatorv1.OutcomeReason_OUTCOME_REASON_DRAINING)
			}
		}
	}
}

// SetNoProver makes the service skip snapshots as no_prover, until SetReady.
func (s *Service) SetNoProver() { s.setState(aggregatorv1.ServiceState_SERVICE_STATE_NO_PROVER) }

// SetReady ends Drain and SetNoProver.
func (s *Service) SetReady() { s.setState(aggregatorv1.ServiceState_SERVICE_STATE_READY) }

func (s *Service) setState(state aggregatorv1.ServiceState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
	for each := range s.streams {
		each.push(&aggregatorv1.StreamResultsResponse{
			Event: &aggregatorv1.StreamResultsResponse_Status{Status: s.status()},
		})
	}
}

// Traceparents returns the header of that name of each request, "" without one, as [Service.Requests].
func (s *Service) Traceparents() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.traceparents...)
}

// Requests returns the requests that the service has received, oldest first, over all its runs.
func (s *Service) Requests() []*aggregatorv1.SubmitSnapshotRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*aggregatorv1.SubmitSnapshotRequest(nil), s.received...)
}

func (s *Service) status() *aggregatorv1.Status {
	return &aggregatorv1.Status{
		State: s.state,
		Offers: []*aggregatorv1.Offer{{
			ProofSystem: &aggregatorv1.ProofSystem{Scheme: "leanaggtest", Revision: "1"},
			Kinds: []aggregatorv1.ProofKind{
				aggregatorv1.ProofKind_PROOF_KIND_AGGREGATE, aggregatorv1.ProofKind_PROOF_KIND_MERGE,
			},
			LogInvRates:   []uint32{0},
			ProofBytesMax: uint32(s.options.ProofBytes),
			Fake:          true,
		}},
	}
}

func (s *Service) run() string { return "run-" + strconv.Itoa(s.runs) }
