package leanagg

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

// defaultSteps returns the steps of a submission. A fence of 0 is that of the slot.
func (a *Aggregator) defaultSteps(slot uint64, start time.Time, fence time.Duration) []Step {
	clock := a.options.Clock
	if fence != 0 {
		return clock.Steps(slot, start, start.Add(fence))
	}
	return clock.Steps(slot, start, clock.Fence(slot))
}

// freeze encodes a snapshot, and says what the machine and the shell need of it. Times of the options
// count from start.
func (a *Aggregator) freeze(
	start time.Time, slot uint64, made *Snapshot, latch machine.LatchName, options SubmitOptions,
) (machine.Submission, *record, error) {
	startMs := a.clock.instantMs(start)
	id := a.options.NodeID[:min(len(a.options.NodeID), 24)] + "-" + a.runName + "-" +
		strconv.FormatUint(a.requests.Add(1), 10)
	kept := &record{
		slot:         slot,
		priority:     options.Priority,
		hasLengthBit: made.GetSszBitlists(),
		isMerge:      latch.ProofKind == machine.Merge,
	}
	if traceparentPattern.MatchString(options.Traceparent) {
		kept.traceparent = options.Traceparent
	}
	steps := options.Steps
	if steps == nil && latch.ProofKind != machine.Merge {
		steps = a.defaultSteps(slot, start, options.Fence)
	}
	for _, step := range steps {
		at := stepAt{untilMs: startMs + step.Within.Milliseconds(), weight: step.Weight}
		kept.steps = append(kept.steps, at)
	}
	var err error
	if kept.frozen, kept.groups, err = a.encodeSnapshot(slot, id, made, options); err != nil {
		return machine.Submission{}, nil, err
	}
	deadline := cmp.Or(options.Deadline, a.options.Deadline)
	submission := machine.Submission{
		LatchName:    latch,
		RequestID:    id,
		Slot:         slot,
		Groups:       len(kept.groups),
		Bytes:        len(kept.frozen),
		DeadlineAtMs: startMs + deadline.Milliseconds(),
	}
	if options.Fence != 0 {
		submission.FenceAtMs = startMs + options.Fence.Milliseconds()
	} else {
		fenceSlot := slot + fenceSlots
		submission.FenceSlot = &fenceSlot
		submission.FenceAtMs = a.clock.atMs(a.options.Clock.Fence(slot))
	}
	kept.fenceAtMs = submission.FenceAtMs
	// These are not bound to the slot in which they are submitted.
	mayStartUntilFence := latch.ProofKind == machine.Merge || latch.Priority == Backlog
	if mayStartUntilFence && options.Deadline == 0 {
		submission.DeadlineAtMs = submission.FenceAtMs
	}
	if !options.HoldUntil.IsZero() {
		submission.HoldUntilMs = a.clock.atMs(options.HoldUntil)
	}
	return submission, kept, nil
}

// encodeSnapshot freezes a snapshot, and copies the data of its groups. A panic in it is an error:
// the snapshot may have a nil message.
func (a *Aggregator) encodeSnapshot(
	slot uint64, id string, made *Snapshot, options SubmitOptions,
) (frozen []byte, groups []*AttestationData, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("snapshot cannot be encoded: %v", cause)
		}
	}()
	made.Slot = slot
	request := &aggregatorv1.SubmitSnapshotRequest{
		Node:        a.node,
		Snapshot:    made,
		ProofSystem: a.options.ProofSystem,
		RequestId:   id,
		Priority:    wirePriority[options.Priority],
		MinInputs:   options.MinInputs,
		BusyPolicy:  aggregatorv1.BusyPolicy_BUSY_POLICY_SKIP,
	}
	if options.MayReplace {
		request.BusyPolicy = aggregatorv1.BusyPolicy_BUSY_POLICY_REPLACE
	}
	if options.WholeGroups {
		request.PartialPolicy = aggregatorv1.PartialPolicy_PARTIAL_POLICY_FORBID
	}
	if frozen, err = encode(request); err != nil {
		return nil, nil, err
	}
	for _, group := range made.GetGroups() {
		data, _ := proto.Clone(group.GetData()).(*AttestationData)
		groups = append(groups, data)
	}
	return frozen, groups, nil
}
