package leanagg_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/vectors"
)

type transcript struct {
	Name      string           `json:"name"`
	Endpoints []string         `json:"endpoints"`
	Steps     []transcriptStep `json:"steps"`
}

type transcriptStep struct {
	Do, See, Endpoint, Request, ServiceID, Run, State, Reason, Code, Message, Status, Priority string

	Known                                 []string
	Awaited                               []awaitedStep
	AfterMs, WithinMs, NotBeforeMs, ForMs int64
	HoldMs, DrainMs                       int64
	DeadlineMs, FenceMs                   bounds
	Slot                                  uint64
	Groups                                groupsField
	Group, ProofBytes                     int
	Bytes                                 uint32
	Participants                          string
	IsErased, MayReplace                  bool
	Skipped                               string
	Results                               []resultStep
	Values                                map[string]float64
}

type awaitedStep struct {
	Request        string
	ReceivedGroups []uint32
}

type resultStep struct {
	Kind, Request string
	Group         int
	Endpoint      *string
}

func TestTranscripts(t *testing.T) {
	for _, file := range vectors.Files(t, "transcripts", "*.json") {
		var script transcript
		vectors.Read(t, file, &script)
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			t.Parallel()
			newTranscriptRun(t, script).play(script.Steps)
		})
	}
}

type transcriptRun struct {
	t         *testing.T
	node      *leanagg.Aggregator
	services  map[string]*scripted
	addresses []string
	names     map[string]string // by address
	ids       map[string]string
	registry  *prometheus.Registry
	closed    chan struct{}

	mu    sync.Mutex
	skips []leanagg.Skip
	logs  []string
	taken []leanagg.Result
}

func newTranscriptRun(t *testing.T, script transcript) *transcriptRun {
	run := &transcriptRun{
		t: t, services: map[string]*scripted{}, names: map[string]string{}, ids: map[string]string{},
		registry: prometheus.NewRegistry(), closed: make(chan struct{}),
	}
	for _, name := range script.Endpoints {
		service := newScripted(t)
		run.services[name] = service
		run.names[service.server.Address()] = name
		run.addresses = append(run.addresses, service.server.Address())
	}
	return run
}

// isOfService has the steps after which the runner waits until the adapter has what was sent.
var isOfService = map[string]bool{
	"stop": true, "opened": true, "silence": true, "accept": true, "skip": true, "fail": true,
	"outcome": true, "summary": true, "status": true, "sending": true, "end": true,
}

func (run *transcriptRun) makeNode() {
	node, err := leanagg.New(leanagg.Options{
		Endpoints:  run.addresses,
		NodeID:     "node-1",
		Clock:      leanagg.SlotClock{Genesis: time.Now(), Slot: 4 * time.Second},
		Registerer: run.registry,
		Logger:     slog.New(&logKeeper{run: run}),
		OnSkip: func(skip leanagg.Skip) {
			run.mu.Lock()
			defer run.mu.Unlock()
			if skip.RequestID != "" {
				run.skips = append(run.skips, skip)
			}
		},
	})
	if err != nil {
		run.t.Fatal(err)
	}
	run.node = node
	run.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = node.Close(ctx) // cut off
	})
}

func (run *transcriptRun) play(steps []transcriptStep) {
	for i, step := range steps {
		run.t.Logf("step %d: %s%s %s %s", i, step.Do, step.See, step.Endpoint, step.Request)
		if step.AfterMs > 0 {
			time.Sleep(time.Duration(step.AfterMs) * time.Millisecond)
		}
		if run.node == nil && step.Do != "start" {
			run.makeNode()
		}
		if step.Do != "" {
			run.do(step)
			if isOfService[step.Do] {
				time.Sleep(100 * time.Millisecond) // the adapter has what was sent
			}
		} else {
			run.see(step)
		}
		if run.t.Failed() {
			run.t.Fatalf("step %d: %+v", i, step)
		}
	}
	if left := run.unseen(); left != "" {
		run.t.Fatalf("after the last step: %s", left)
	}
}

// id is the adapter's request id for a request of the transcript.
func (run *transcriptRun) id(request string) string { return run.ids[request] }

func (run *transcriptRun) do(step transcriptStep) {
	service := run.services[step.Endpoint]
	switch step.Do {
	case "start":
		service.start(run.t, step.ServiceID, step.Run)
	case "stop":
		service.server.Kill()
	case "silence":
		service.silenceAll()
	case "opened":
		run.doOpened(service, step)
	case "accept", "skip", "fail":
		service.answer(run.t, run.id(step.Request), func(r *aggregatorv1.SubmitSnapshotRequest) scriptedAnswer {
			return answerOf(service, step, r)
		})
	case "outcome", "summary", "status", "sending":
		service.newest().events <- run.eventOf(step)
	case "end":
		service.newest().end <- statusOf(step)
	case "submit":
		run.doSubmit(step)
	case "cancel":
		run.node.Cancel(func(g leanagg.GroupInfo) bool {
			return g.RequestID == run.id(step.Request) && contains(step.Groups.list, uint32(g.GroupIndex))
		})
	case "close":
		go func() {
			ctx, end := context.WithTimeout(context.Background(), time.Duration(step.DrainMs)*time.Millisecond)
			defer end()
			_ = run.node.Close(ctx) // what is cut off is seen in the results
			close(run.closed)
		}()
	default:
		run.t.Fatalf("unknown step %q", step.Do)
	}
}

func contains(list []uint32, wanted uint32) bool {
	for _, each := range list {
		if each == wanted {
			return true
		}
	}
	return false
}

func (run *transcriptRun) doOpened(service *scripted, step transcriptStep) {
	st := service.newest()
	opened := &aggregatorv1.Opened{
		ServiceId: service.serviceID, Run: service.run,
		Status: &aggregatorv1.Status{State: stateNamed(step.State)},
	}
	for _, each := range st.request.GetAwaited() {
		state := aggregatorv1.RequestState_REQUEST_STATE_UNKNOWN
		for _, known := range step.Known {
			if run.id(known) == each.GetRequestId() {
				state = aggregatorv1.RequestState_REQUEST_STATE_IN_FLIGHT
			}
		}
		opened.Awaited = append(opened.Awaited,
			&aggregatorv1.AwaitedState{RequestId: each.GetRequestId(), State: state})
	}
	st.events <- &aggregatorv1.StreamResultsResponse{
		Event: &aggregatorv1.StreamResultsResponse_Opened{Opened: opened},
	}
	go st.beat()
}

func stateNamed(name string) aggregatorv1.ServiceState {
	if name == "" {
		name = "ready"
	}
	return aggregatorv1.ServiceState(
		aggregatorv1.ServiceState_value["SERVICE_STATE_"+strings.ToUpper(name)])
}

func statusOf(step transcriptStep) error {
	var code connect.Code
	if err := code.UnmarshalText([]byte(strings.ToLower(strings.Replace(step.Code, "CANCELLED", "CANCELED", 1)))); err != nil {
		return err
	}
	return connect.NewError(code, errors.New(step.Message))
}

func answerOf(
	service *scripted, step transcriptStep, r *aggregatorv1.SubmitSnapshotRequest,
) scriptedAnswer {
	switch step.Do {
	case "fail":
		return scriptedAnswer{err: statusOf(step)}
	case "skip":
		reason := aggregatorv1.SkipReason_value["SKIP_REASON_"+strings.ToUpper(step.Reason)]
		skipped := &aggregatorv1.Skipped{Reason: aggregatorv1.SkipReason(reason)}
		return scriptedAnswer{response: &aggregatorv1.SubmitSnapshotResponse{
			Result: &aggregatorv1.SubmitSnapshotResponse_Skipped{Skipped: skipped},
		}}
	}
	accepted := &aggregatorv1.Accepted{
		RequestId: r.GetRequestId(), DeadlineMs: r.GetDeadlineMs(), FenceMs: r.GetFenceMs(),
		ServiceId: service.serviceID,
	}
	if step.FenceMs.isSet {
		accepted.FenceMs = uint32(step.FenceMs.low)
	}
	return scriptedAnswer{response: &aggregatorv1.SubmitSnapshotResponse{
		Result: &aggregatorv1.SubmitSnapshotResponse_Accepted{Accepted: accepted},
	}}
}

func root(i int) []byte { return []byte(strings.Repeat(string(rune(i+1)), 32)) }

func (run *transcriptRun) eventOf(step transcriptStep) *aggregatorv1.StreamResultsResponse {
	switch step.Do {
	case "summary":
		return &aggregatorv1.StreamResultsResponse{Event: &aggregatorv1.StreamResultsResponse_Summary{
			Summary: &aggregatorv1.Summary{RequestId: run.id(step.Request)},
		}}
	case "status":
		return &aggregatorv1.StreamResultsResponse{Event: &aggregatorv1.StreamResultsResponse_Status{
			Status: &aggregatorv1.Status{State: stateNamed(step.State)},
		}}
	case "sending":
		return &aggregatorv1.StreamResultsResponse{Event: &aggregatorv1.StreamResultsResponse_Sending{
			Sending: &aggregatorv1.Sending{Bytes: step.Bytes},
		}}
	}
	outcome := &aggregatorv1.Outcome{
		RequestId:   run.id(step.Request),
		GroupIndex:  uint32(step.Group),
		Message:     root(step.Group),
		Status:      aggregatorv1.OutcomeStatus(aggregatorv1.OutcomeStatus_value["OUTCOME_STATUS_"+step.Status]),
		Reason:      aggregatorv1.OutcomeReason(aggregatorv1.OutcomeReason_value["OUTCOME_REASON_"+step.Reason]),
		ProofErased: step.IsErased,
	}
	if strings.HasPrefix(step.Status, "PROVED") {
		if step.Participants == "" {
			step.Participants = "01"
		}
		if step.ProofBytes == 0 {
			step.ProofBytes = 32
		}
		outcome.Participants, _ = hex.DecodeString(step.Participants) // the schema allows hex only
		if !step.IsErased {
			outcome.Proof = make([]byte, step.ProofBytes)
		}
	}
	return &aggregatorv1.StreamResultsResponse{
		Event: &aggregatorv1.StreamResultsResponse_Outcome{Outcome: outcome},
	}
}

func (run *transcriptRun) doSubmit(step transcriptStep) {
	snapshot := &leanagg.Snapshot{}
	for i := range step.Groups.count {
		point := &leanagg.Checkpoint{Root: root(i), Slot: step.Slot}
		snapshot.Groups = append(snapshot.Groups, &leanagg.Group{
			Data:          &leanagg.AttestationData{Slot: step.Slot, Head: point, Target: point, Source: point},
			RawSignatures: []*leanagg.RawSignature{{ValidatorIndex: uint32(i), Signature: []byte{1}}},
		})
	}
	options := leanagg.SubmitOptions{
		Priority:   leanagg.Priority(step.Priority),
		Deadline:   time.Duration(step.DeadlineMs.low) * time.Millisecond,
		Fence:      time.Duration(step.FenceMs.low) * time.Millisecond,
		MayReplace: step.MayReplace,
	}
	if step.HoldMs > 0 {
		options.HoldUntil = time.Now().Add(time.Duration(step.HoldMs) * time.Millisecond)
	}
	gates := leanagg.Gates{IsAggregator: true, HasState: true}
	answer := run.node.SubmitOrSkip(step.Slot, gates,
		func() (*leanagg.Snapshot, error) { return snapshot, nil }, options)
	if string(answer.Skipped) != step.Skipped {
		run.t.Errorf("submission of %s: skipped %q, expected %q", step.Request, answer.Skipped, step.Skipped)
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	run.ids[step.Request] = answer.RequestID
}

// logKeeper keeps what the adapter logs.
type logKeeper struct{ run *transcriptRun }

func (k *logKeeper) Enabled(context.Context, slog.Level) bool { return true }
func (k *logKeeper) WithAttrs([]slog.Attr) slog.Handler       { return k }
func (k *logKeeper) WithGroup(string) slog.Handler            { return k }
func (k *logKeeper) Handle(_ context.Context, record slog.Record) error {
	text := record.Message
	record.Attrs(func(attr slog.Attr) bool {
		text += fmt.Sprintf(" %s=%v", attr.Key, attr.Value)
		return true
	})
	k.run.mu.Lock()
	defer k.run.mu.Unlock()
	k.run.logs = append(k.run.logs, text)
	return nil
}

func (run *transcriptRun) resultsSeen(steps []resultStep) bool {
	got := []resultStep{}
	for _, result := range run.taken {
		each := resultStep{Kind: string(result.Kind), Group: result.GroupIndex}
		for name, id := range run.ids {
			if id == result.RequestID {
				each.Request = name
			}
		}
		if result.Endpoint != "" {
			name := run.names[result.Endpoint]
			each.Endpoint = &name
		}
		got = append(got, each)
	}
	if len(got) < len(steps) {
		return false
	}
	if !reflect.DeepEqual(got, steps) {
		run.t.Errorf("results %+v, expected %+v", got, steps)
	}
	run.taken = nil
	return true
}
