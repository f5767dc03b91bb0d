package leanagg

import (
	"slices"

	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

// Ready returns a channel that receives when results wait to be taken. It holds one signal, however
// many results wait. It is never closed.
func (a *Aggregator) Ready() <-chan struct{} { return a.ready }

// TakeResults returns the results since the last call, at the node's slot, in the order in which they
// came to be. Results that are held back, or past their fence, are not among them.
func (a *Aggregator) TakeResults(slot uint64) []Result {
	a.collect(slot)
	a.mu.Lock()
	defer a.mu.Unlock()
	results := a.untaken
	a.untaken = nil
	return results
}

// collect passes each result that is ready to its body, and keeps the others for the node.
func (a *Aggregator) collect(slot uint64) {
	var results []Result
	for _, effect := range a.dispatch(machine.Take{Slot: slot}, nil) {
		if each, isResult := effect.(machine.Deliver[*Outcome]); isResult {
			results = append(results, resultOf(each.Result))
		}
	}
	a.countOutcomes(results)
	results = slices.DeleteFunc(results, func(result Result) bool {
		return a.anyBody(func(body *BodyCandidate) bool { return body.absorb(slot, result) })
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	a.untaken = append(a.untaken, results...)
}

// notifyUntaken wakes the reader of Ready for results that TakeResults has not returned.
func (a *Aggregator) notifyUntaken() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.untaken) > 0 {
		a.notify()
	}
}

func (a *Aggregator) anyBody(isOf func(*BodyCandidate) bool) bool {
	a.mu.Lock()
	bodies := a.bodies
	a.mu.Unlock()
	return slices.ContainsFunc(bodies, isOf)
}

func (a *Aggregator) countOutcomes(results []Result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, result := range results {
		if result.Kind != machine.ResultOutcome {
			continue
		}
		// The votes of a merge were counted when they were aggregated.
		if len(result.Outcome.GetClaims()) > 0 {
			if status := mergeStatuses[result.Outcome.GetStatus()]; status != "" {
				a.stats.Merges[status]++
				a.metrics.merges.WithLabelValues(status).Inc()
			}
			continue
		}
		for fate, count := range VotesByFate(result.Outcome) {
			a.stats.Votes[fate] += count
			a.metrics.votes.WithLabelValues(string(fate)).Add(float64(count))
		}
	}
}

func resultOf(result machine.Result[*Outcome]) Result {
	taken := Result{
		Kind:       result.Kind,
		RequestID:  result.Ref.RequestID,
		GroupIndex: result.Ref.GroupIndex,
		Slot:       result.Ref.Slot,
		Outcome:    result.Payload,
	}
	if result.Ref.Endpoint != nil {
		taken.Endpoint = *result.Ref.Endpoint
	}
	return taken
}
