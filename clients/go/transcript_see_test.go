package leanagg_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
)

// bounds is [low, high], or one number.
type bounds struct {
	low, high int64
	isSet     bool
}

func (b *bounds) UnmarshalJSON(text []byte) error {
	b.isSet = true
	if err := json.Unmarshal(text, &b.low); err == nil {
		return nil
	}
	var both [2]int64
	err := json.Unmarshal(text, &both)
	b.low, b.high = both[0], both[1]
	return err
}

// groupsField is a number of groups, or a list of indices.
type groupsField struct {
	count int
	list  []uint32
}

func (g *groupsField) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &g.count); err == nil {
		return nil
	}
	return json.Unmarshal(text, &g.list)
}

// see waits for what must come.
func (run *transcriptRun) see(step transcriptStep) {
	start := time.Now()
	within := time.Duration(step.WithinMs) * time.Millisecond
	switch step.See {
	case "quiet":
		time.Sleep(time.Duration(step.ForMs) * time.Millisecond)
		if left := run.unseen(); left != "" {
			run.t.Errorf("not quiet: %s", left)
		}
		return
	case "metrics":
		within = 2 * time.Second
	}
	for !run.isSeen(step) {
		if run.t.Failed() {
			return
		}
		if time.Since(start) > within {
			run.t.Errorf("did not come within %v; metrics %v; logs:\n%s", within, run.metrics(), strings.Join(run.logs, "\n"))
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	if took := time.Since(start).Milliseconds(); took < step.NotBeforeMs {
		run.t.Errorf("came after %d ms, expected not before %d", took, step.NotBeforeMs)
	}
}

// isSeen reports whether what a step expects has come, and takes it.
func (run *transcriptRun) isSeen(step transcriptStep) bool {
	switch step.See {
	case "broken":
		select {
		case <-run.services[step.Endpoint].newest().broken:
			return true
		default:
			return false
		}
	case "results":
		run.taken = append(run.taken, run.node.TakeResults(step.Slot)...)
		return run.resultsSeen(step.Results)
	case "skip":
		run.mu.Lock()
		defer run.mu.Unlock()
		if len(run.skips) == 0 {
			return false
		}
		skip := run.skips[0]
		run.skips = run.skips[1:]
		if skip.RequestID != run.id(step.Request) || string(skip.Reason) != step.Reason {
			run.t.Errorf("skip %+v", skip)
		}
		return true
	case "error":
		run.mu.Lock()
		defer run.mu.Unlock()
		return strings.Contains(strings.Join(run.logs, "\n"), step.Code)
	case "closed":
		select {
		case <-run.closed:
			return true
		default:
			return false
		}
	case "metrics":
		values := run.metrics()
		for name, value := range step.Values {
			if values[name] != value {
				return false
			}
		}
		return true
	}
	return run.isCallSeen(step, run.services[step.Endpoint])
}

func (run *transcriptRun) isCallSeen(step transcriptStep, s *scripted) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch step.See {
	case "stream":
		if s.seenStreams == len(s.streams) {
			return false
		}
		run.checkStream(step, s.streams[s.seenStreams].request)
		s.seenStreams++
		return true
	case "submission":
		if s.seenSubmits == len(s.submissions) {
			return false
		}
		next := s.submissions[s.seenSubmits]
		if s.hasArrivedBefore(run.id(step.Request), next) {
			return false // its handler has yet to run
		}
		run.checkSubmission(step, next.request)
		s.seenSubmits++
		return true
	case "both":
		if s.seenStreams == len(s.streams) || s.seenSubmits == len(s.submissions) {
			return false
		}
		run.checkBoth(step, s, s.streams[s.seenStreams].request, s.submissions[s.seenSubmits])
		s.seenStreams++
		s.seenSubmits++
		return true
	case "cancel":
		if s.seenCancels == len(s.cancels) {
			return false
		}
		call := s.cancels[s.seenCancels]
		s.seenCancels++
		isSame := len(call.GetGroupIndices()) == len(step.Groups.list) &&
			(len(step.Groups.list) == 0 || reflect.DeepEqual(call.GetGroupIndices(), step.Groups.list))
		if call.GetRequestId() != run.id(step.Request) || !isSame {
			run.t.Errorf("cancel %v", call)
		}
		return true
	}
	run.t.Fatalf("unknown step %q", step.See)
	return false
}

// checkBoth holds that a stream awaits a submission that arrived before it.
func (run *transcriptRun) checkBoth(
	step transcriptStep, s *scripted, stream *aggregatorv1.StreamResultsRequest, call *scriptedCall,
) {
	id := call.request.GetRequestId()
	isAwaited := false
	for _, each := range stream.GetAwaited() {
		isAwaited = isAwaited || each.GetRequestId() == id
	}
	if isFirst := s.arrivedAt(call) < s.streamArrivedAt(stream); isFirst && !isAwaited {
		run.t.Errorf("the submission of %s arrived before a stream that does not await it", step.Request)
	}
	if id != run.id(step.Request) {
		run.t.Errorf("submission of %s (%s)", id, run.id(step.Request))
	}
}

func (run *transcriptRun) checkStream(step transcriptStep, request *aggregatorv1.StreamResultsRequest) {
	awaited := []awaitedStep{}
	for _, each := range request.GetAwaited() {
		name := each.GetRequestId()
		for of, id := range run.ids {
			if id == name {
				name = of
			}
		}
		awaited = append(awaited, awaitedStep{Request: name, ReceivedGroups: append([]uint32{}, each.GetReceivedGroups()...)})
	}
	if request.GetNode().GetNodeId() != "node-1" || !reflect.DeepEqual(awaited, step.Awaited) {
		run.t.Errorf("stream awaits %+v, expected %+v", awaited, step.Awaited)
	}
}

func (run *transcriptRun) checkSubmission(step transcriptStep, r *aggregatorv1.SubmitSnapshotRequest) {
	isIn := func(value uint32, b bounds) bool { return int64(value) >= b.low && int64(value) <= b.high }
	if r.GetRequestId() != run.id(step.Request) || r.DeadlineMs == nil || r.FenceMs == nil ||
		!isIn(r.GetDeadlineMs(), step.DeadlineMs) || !isIn(r.GetFenceMs(), step.FenceMs) {
		run.t.Errorf("submission of %s (%s) with deadline %d and fence %d",
			r.GetRequestId(), run.id(step.Request), r.GetDeadlineMs(), r.GetFenceMs())
	}
}

// unseen names what no step has seen.
func (run *transcriptRun) unseen() string {
	left := []string{}
	for name, s := range run.services {
		s.mu.Lock()
		if len(s.submissions) > s.seenSubmits || len(s.cancels) > s.seenCancels {
			left = append(left, fmt.Sprintf("%s: %d submissions, %d cancels",
				name, len(s.submissions)-s.seenSubmits, len(s.cancels)-s.seenCancels))
		}
		s.mu.Unlock()
	}
	run.taken = append(run.taken, run.node.TakeResults(0)...)
	run.mu.Lock()
	defer run.mu.Unlock()
	if len(run.taken) > 0 || len(run.skips) > 0 {
		left = append(left, fmt.Sprintf("results %+v, skips %+v", run.taken, run.skips))
	}
	return strings.Join(left, "; ")
}

// metrics returns the counters by name and labels.
func (run *transcriptRun) metrics() map[string]float64 {
	values := map[string]float64{}
	families, err := run.registry.Gather()
	if err != nil {
		run.t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			values[family.GetName()+labels(metric)] = metric.GetCounter().GetValue()
		}
	}
	return values
}

func labels(metric *dto.Metric) string {
	pairs := []string{}
	for _, pair := range metric.GetLabel() {
		pairs = append(pairs, fmt.Sprintf("%s=%q", pair.GetName(), pair.GetValue()))
	}
	if len(pairs) == 0 {
		return ""
	}
	return "{" + strings.Join(pairs, ",") + "}"
}
