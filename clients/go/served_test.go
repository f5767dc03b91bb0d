package leanagg_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	rpc "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1/aggregatorv1connect"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/faultnet"
)

// served is a process of the project's service, with the fake prover.
type served struct {
	t       *testing.T
	program string
	folder  string
	address string
	prover  []string
	process *exec.Cmd
}

// serve starts the service that LEANAGG_SERVICE names.
func serve(t *testing.T, name, proveMs string) *served {
	t.Helper()
	return serveWith(t, name, "--prover", "fake", "--fake-accepts", "any", "--fake-time", proveMs,
		"--devices", name)
}

func serveWith(t *testing.T, name string, prover ...string) *served {
	t.Helper()
	program := os.Getenv("LEANAGG_SERVICE")
	if program == "" {
		t.Skip("skipped: LEANAGG_SERVICE does not name the service's dist/cli/main.js")
	}
	address, err := faultnet.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	s := &served{
		t: t, program: program, folder: filepath.Join(t.TempDir(), name),
		address: address, prover: prover,
	}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *served) start() {
	s.t.Helper()
	s.process = exec.Command("node", append([]string{s.program, "serve",
		"--listen", s.address, "--probes", "127.0.0.1:0", "--admin", "127.0.0.1:0",
		"--runtime-dir", s.folder + "/run", "--state-dir", s.folder + "/state",
		"--log-level", "warn"}, s.prover...)...)
	for _, sub := range []string{"run", "state"} {
		if err := os.MkdirAll(filepath.Join(s.folder, sub), 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.process.Stderr = os.Stderr
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// kill ends the service and its provers at once.
func (s *served) kill() {
	if s.process == nil {
		return
	}
	_ = syscall.Kill(-s.process.Process.Pid, syscall.SIGKILL) // it may have ended already
	_ = s.process.Wait()
	s.process = nil
}

func (s *served) signal(signal syscall.Signal) {
	if err := syscall.Kill(-s.process.Process.Pid, signal); err != nil {
		s.t.Fatal(err)
	}
}

func awaitServed(t *testing.T, node *leanagg.Aggregator, endpoint int, state string) {
	t.Helper()
	for range 600 {
		if node.Stats().Endpoints[endpoint].State == state {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("endpoint %d is not %s: %+v", endpoint, state, node.Stats())
}

// untilProving waits until a device of the service has begun a proof.
func (s *served) untilProving() {
	s.t.Helper()
	client := rpc.NewAggregatorServiceClient(h2c(), "http://"+s.address, connect.WithGRPC())
	for range 1500 {
		ctx, end := context.WithTimeout(context.Background(), 10*time.Second)
		info, err := client.GetServerInfo(ctx, connect.NewRequest(&aggregatorv1.GetServerInfoRequest{}))
		end()
		if err != nil {
			s.t.Fatal(err)
		}
		for _, device := range info.Msg.GetDevices() {
			if device.GetState() == aggregatorv1.DeviceState_DEVICE_STATE_PROVING {
				return
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.t.Fatalf("%s proves nothing", s.address)
}

// h2c is a client of HTTP/2 in clear text.
func h2c() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: protocols}}
}

func TestServedProofsComeBack(t *testing.T) {
	service := serve(t, "a", "100")
	node := start(t, leanagg.Options{Endpoints: []string{service.address}})
	awaitServed(t, node, 0, "ready")
	submit(t, node, leanagg.SubmitOptions{Priority: leanagg.Proposal}, 4, 8)
	checkProofs(t, take(t, node, 2), service.address)
	awaitInFlight(t, node, 0)
	if err := node.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// A merge is proved beside votes of its priority, and a bad component is named.
func TestServedMergeHasItsClaims(t *testing.T) {
	service := serve(t, "a", "100")
	node := start(t, leanagg.Options{Endpoints: []string{service.address}})
	awaitServed(t, node, 0, "ready")
	of := votes(2)
	merge := &leanagg.Merge{Head: of.Head, Justified: of.Justified, Keys: of.Keys}
	merge.Keys = append(merge.Keys, &leanagg.ValidatorKey{
		ValidatorIndex: 2, PublicKey: bytes.Repeat([]byte{77}, 32), Role: leanagg.ProposalKey,
	})
	group := of.Groups[0]
	root := &leanagg.SignedRoot{Root: bytes.Repeat([]byte{5}, 32), Slot: 5}
	raw := func(validator uint32) []*leanagg.RawSignature {
		signature := group.RawSignatures[0].Signature
		return []*leanagg.RawSignature{{ValidatorIndex: validator, Signature: signature}}
	}
	merge.Components = []leanagg.Component{
		{Data: group.Data, Signatures: group.RawSignatures},
		{Root: root, Role: leanagg.ProposalKey, Signatures: raw(2)},
	}
	submit(t, node, leanagg.SubmitOptions{Priority: leanagg.Proposal}, 4)
	answer := node.MergeOrSkip(5, leanagg.Gates{HasState: true},
		func() (*leanagg.Merge, error) { return merge, nil },
		leanagg.MergeOptions{Priority: leanagg.Proposal, Fence: 10 * time.Second})
	if !answer.Submitted() {
		t.Fatalf("skipped: %s", answer.Skipped)
	}
	for _, result := range takeSlowly(t, node, 2) {
		claims := result.Outcome.GetClaims()
		if result.RequestID != answer.RequestID {
			continue
		}
		if len(result.Outcome.GetProof()) == 0 || len(claims) != 2 ||
			!bytes.Equal(claims[0].GetParticipants(), []byte{3}) ||
			!bytes.Equal(claims[1].GetParticipants(), []byte{4}) ||
			claims[1].GetRole() != leanagg.ProposalKey {
			t.Errorf("outcome %v", result.Outcome)
		}
	}
	awaitInFlight(t, node, 0)
	merge.Components[1].Signatures = raw(3) // without a proposal key
	node.MergeOrSkip(5, leanagg.Gates{HasState: true},
		func() (*leanagg.Merge, error) { return merge, nil },
		leanagg.MergeOptions{Priority: leanagg.Proposal, Fence: 10 * time.Second})
	left := takeSlowly(t, node, 1)[0].Outcome.GetLeftOut()
	if len(left) != 1 || left[0].GetComponentIndex() != 1 {
		t.Errorf("left out: %v", left)
	}
}

func TestServedKillInAProofAndRestart(t *testing.T) {
	service := serve(t, "a", "3000")
	node := start(t, leanagg.Options{Endpoints: []string{service.address}})
	awaitServed(t, node, 0, "ready")
	submit(t, node, leanagg.SubmitOptions{Deadline: 20 * time.Second, Fence: 30 * time.Second}, 4)
	service.untilProving()
	service.kill()
	service.start()
	checkProofs(t, takeSlowly(t, node, 1), service.address)
	if stats := node.Stats(); stats.Lost != 0 || stats.Resubmitted != 1 {
		t.Errorf("%+v", stats)
	}
}

// takeSlowly is take for a service whose start takes seconds.
func takeSlowly(t *testing.T, node *leanagg.Aggregator, count int) []leanagg.Result {
	t.Helper()
	var results []leanagg.Result
	for range 1500 {
		results = append(results, node.TakeResults(5)...)
		if len(results) >= count {
			return results
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%d of %d results: %+v", len(results), count, node.Stats())
	return nil
}

func TestServedKillOneOfTwo(t *testing.T) { servedFault(t, (*served).kill) }

func TestServedFreezeOneOfTwo(t *testing.T) {
	servedFault(t, func(s *served) {
		s.signal(syscall.SIGSTOP)
		time.AfterFunc(10*time.Second, func() {
			if s.process != nil {
				_ = syscall.Kill(-s.process.Process.Pid, syscall.SIGCONT)
			}
		})
	})
}

// servedFault lets the first of two services fail in a proof. No votes are lost.
func servedFault(t *testing.T, fault func(*served)) {
	first, second := serve(t, "a", "3000"), serve(t, "b", "200")
	node := start(t, leanagg.Options{Endpoints: []string{first.address, second.address}})
	awaitServed(t, node, 0, "ready")
	awaitServed(t, node, 1, "ready")
	submit(t, node, leanagg.SubmitOptions{Deadline: 20 * time.Second, Fence: 30 * time.Second}, 4, 4)
	first.untilProving()
	begin := time.Now()
	fault(first)
	for node.Stats().Resubmitted == 0 && time.Since(begin) < 20*time.Second {
		time.Sleep(time.Millisecond)
	}
	noticed := time.Since(begin)
	checkProofs(t, takeSlowly(t, node, 2), "")
	stats := node.Stats()
	fmt.Printf("%s: the other endpoint is used after %v; groups lost: %d of 2\n",
		t.Name(), noticed.Round(time.Millisecond), stats.Lost)
	if stats.Lost != 0 || stats.Fenced != 0 {
		t.Errorf("%+v", stats)
	}
}
