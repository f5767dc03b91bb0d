package leanagg_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	"github.com/lean-aggregator/lean-aggregator/clients/go/leanaggtest"
)

// two starts two services and an adapter that is connected to both.
func two(t *testing.T, options leanaggtest.Options) (first, second *leanaggtest.Service, node *leanagg.Aggregator) {
	t.Helper()
	first, second = leanaggtest.Start(t, options), leanaggtest.Start(t, options)
	node = start(t, leanagg.Options{Endpoints: []string{first.Address(), second.Address()}})
	awaitState(t, node, 0, "ready")
	awaitState(t, node, 1, "ready")
	return first, second, node
}

// awaitRequests waits until a service has received as many submissions.
func awaitRequests(t *testing.T, service *leanaggtest.Service, count int) {
	t.Helper()
	for range 10_000 {
		if len(service.Requests()) >= count {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%d submissions, expected %d", len(service.Requests()), count)
}

func checkProofs(t *testing.T, results []leanagg.Result, endpoint string) {
	t.Helper()
	for _, result := range results {
		if !isProof(result) || endpoint != "" && result.Endpoint != endpoint {
			t.Errorf("%+v, expected a proof of %s", result, endpoint)
		}
	}
}

func TestTheOtherEndpointProvesWhenOneIsKilledInAProof(t *testing.T) {
	first, second, node := two(t, leanaggtest.Options{ProveTime: 100 * time.Millisecond})
	answer := submit(t, node, leanagg.SubmitOptions{}, 1, 1, 1)
	awaitRequests(t, first, 1)
	first.Kill()
	results := take(t, node, 3)
	checkProofs(t, results[2:], second.Address())
	if got := second.Requests()[0].GetRequestId(); got != answer.RequestID || node.Stats().Lost != 0 {
		t.Errorf("%s, %+v", got, node.Stats())
	}
}

func TestTheOtherEndpointProvesWhenOneFreezes(t *testing.T) {
	first, second, node := two(t, leanaggtest.Options{ProveTime: 50 * time.Millisecond})
	first.SetProveTime(time.Minute)
	submit(t, node, leanagg.SubmitOptions{}, 1, 1)
	awaitRequests(t, first, 1)
	first.Freeze()
	checkProofs(t, take(t, node, 2), second.Address())
	if stats := node.Stats(); stats.Lost != 0 || stats.Resubmitted != 1 {
		t.Errorf("%+v", stats)
	}
	awaitInFlight(t, node, 0)
	submit(t, node, leanagg.SubmitOptions{}, 2)
	checkProofs(t, take(t, node, 1), second.Address())
	first.Thaw()
	awaitState(t, node, 0, "ready")
}

func TestALostAcknowledgementCostsNothing(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{ProveTime: 400 * time.Millisecond})
	node := start(t, leanagg.Options{Endpoints: []string{service.Address()}})
	awaitState(t, node, 0, "ready")
	service.LoseAcknowledgements(2)
	answer := submit(t, node, leanagg.SubmitOptions{}, 1)
	checkProofs(t, take(t, node, 1), service.Address())
	for _, request := range service.Requests() {
		if request.GetRequestId() != answer.RequestID {
			t.Errorf("request id %s", request.GetRequestId())
		}
	}
	if len(service.Requests()) != 3 {
		t.Errorf("%d tries, expected 3", len(service.Requests()))
	}
}

func TestARestartedServiceProvesWhatItHasLost(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{ServiceID: "one", ProveTime: time.Minute})
	node := start(t, leanagg.Options{Endpoints: []string{service.Address()}})
	submit(t, node, leanagg.SubmitOptions{}, 1)
	awaitRequests(t, service, 1)
	awaitState(t, node, 0, "ready")
	service.Kill()
	service.SetProveTime(0)
	if err := service.Restart(); err != nil {
		t.Fatal(err)
	}
	checkProofs(t, take(t, node, 1), service.Address())
}

func TestADrainedServiceIsReplaced(t *testing.T) {
	first, second, node := two(t, leanaggtest.Options{ProveTime: 100 * time.Millisecond})
	submit(t, node, leanagg.SubmitOptions{}, 1, 1, 1)
	awaitRequests(t, first, 1)
	first.Drain()
	checkProofs(t, take(t, node, 3), "")
	awaitInFlight(t, node, 0)
	submit(t, node, leanagg.SubmitOptions{}, 2)
	checkProofs(t, take(t, node, 1), second.Address())
}

func TestAServiceThatIsBackInTimeTakesTheLatch(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{ProveTime: 300 * time.Millisecond})
	node := start(t, leanagg.Options{Endpoints: []string{service.Address()}})
	submit(t, node, leanagg.SubmitOptions{}, 1)
	busy := node.SubmitOrSkip(5, open, func() (*leanagg.Snapshot, error) { return votes(1), nil }, leanagg.SubmitOptions{})
	// Another validator: else the proof that ends first could make the other one a duplicate.
	other := votes(2)
	other.Groups[0].RawSignatures = other.Groups[0].RawSignatures[1:]
	backlog := node.SubmitOrSkip(5, open, func() (*leanagg.Snapshot, error) { return other, nil },
		leanagg.SubmitOptions{Priority: leanagg.Backlog, Deadline: 5 * time.Second, Fence: 10 * time.Second})
	if busy.Skipped != leanagg.InFlight || !backlog.Submitted() {
		t.Errorf("%+v, %+v", busy, backlog)
	}
	checkProofs(t, take(t, node, 2), "")
}

func TestTLSAndToken(t *testing.T) {
	certificate, roots := selfSigned(t)
	service := leanaggtest.Start(t, leanaggtest.Options{
		TLS:   &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2"}},
		Token: "secret",
	})
	token := func(context.Context) (string, error) { return "secret", nil }
	node := start(t, leanagg.Options{
		Endpoints: []string{"https://" + service.Address()},
		TLS:       &tls.Config{RootCAs: roots},
		Token:     token,
	})
	submit(t, node, leanagg.SubmitOptions{}, 1)
	checkProofs(t, take(t, node, 1), "")
}

func TestTheTraceOfTheNodeGoesWithEachTry(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	node := start(t, leanagg.Options{Endpoints: []string{service.Address()}})
	service.LoseAcknowledgements(1)
	service.SetProveTime(5 * time.Second) // longer than the lost try's second one waits
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	submit(t, node, leanagg.SubmitOptions{Traceparent: trace}, 1)
	for end := time.Now().Add(4 * time.Second); len(service.Traceparents()) < 2 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	service.SetProveTime(0)
	take(t, node, 1)
	awaitInFlight(t, node, 0) // the second try ends too
	for _, header := range service.Traceparents() {
		if header != trace {
			t.Errorf("traceparent %q", header)
		}
	}
	tried := len(service.Traceparents())
	if tried < 2 {
		t.Errorf("%d tries, expected the lost one again", tried)
	}
	submit(t, node, leanagg.SubmitOptions{Traceparent: "x\r\nauthorization: y"}, 2)
	take(t, node, 1)
	awaitInFlight(t, node, 0)
	if header := service.Traceparents()[tried]; header != "" {
		t.Errorf("traceparent %q, expected none", header)
	}
	tried = len(service.Traceparents())
	root := &leanagg.SignedRoot{Root: make([]byte, 32), Slot: 5}
	merge := &leanagg.Merge{Components: []leanagg.Component{{Root: root, Proof: []byte{1}, Participants: []byte{1}}}}
	node.MergeOrSkip(5, open, func() (*leanagg.Merge, error) { return merge, nil },
		leanagg.MergeOptions{Fence: 10 * time.Second, Traceparent: trace})
	take(t, node, 1)
	if headers := service.Traceparents()[tried:]; len(headers) == 0 || headers[0] != trace {
		t.Errorf("traceparent of a merge %q", headers)
	}
}

func TestAWrongTokenIsInvalid(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{Token: "secret"})
	skips := make(chan leanagg.Skip, 1)
	var isWrong atomic.Bool
	node := start(t, leanagg.Options{
		Endpoints: []string{service.Address()},
		Token: func(context.Context) (string, error) {
			if isWrong.Load() {
				return "guess", nil
			}
			return "secret", nil
		},
		OnSkip: func(skip leanagg.Skip) { skips <- skip },
	})
	awaitState(t, node, 0, "ready")
	isWrong.Store(true)
	submit(t, node, leanagg.SubmitOptions{}, 1)
	if skip := <-skips; skip.Reason != leanagg.Invalid {
		t.Errorf("%+v", skip)
	}
}

func TestATokenThatPanicsIsInvalid(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{Token: "secret"})
	skips := make(chan leanagg.Skip, 1)
	var isWrong atomic.Bool
	node := start(t, leanagg.Options{
		Endpoints: []string{service.Address()},
		Token: func(context.Context) (string, error) {
			if isWrong.Load() {
				panic("no token")
			}
			return "secret", nil
		},
		OnSkip: func(skip leanagg.Skip) { skips <- skip },
	})
	awaitState(t, node, 0, "ready")
	isWrong.Store(true)
	submit(t, node, leanagg.SubmitOptions{}, 1)
	if skip := <-skips; skip.Reason != leanagg.Invalid {
		t.Errorf("%+v", skip)
	}
}

func TestATokenThatBlocksHoldsNothingUp(t *testing.T) {
	service := leanaggtest.Start(t, leanaggtest.Options{})
	block := make(chan struct{})
	node := start(t, leanagg.Options{
		Endpoints: []string{service.Address()},
		Token:     func(context.Context) (string, error) { <-block; return "secret", nil },
	})
	submit(t, node, leanagg.SubmitOptions{}, 1) // returns
	ctx, end := context.WithCancel(context.Background())
	end()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = node.Close(ctx) // cut off
	}()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("Close waits for the token")
	}
	close(block)
}

// selfSigned makes a certificate for the loopback address, and the roots that trust it.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
