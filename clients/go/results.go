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
	return a.take(machine.Take{Slot: slot})
}

// take passes each result that is taken to its body, and returns the others.
func (a *Aggregator) take(take machine.Take) []Result {
	var results []Result
	for _, effect := range a.dispatch(take, nil) {
		if each, isResult := effect.(machine.Deliver[*Outcome]); isResult {
			results = append(results, resultOf(each.Result))
		}
	}
	a.countOutcomes(results)
	return slices.DeleteFunc(results, func(result Result) bool {
		return a.anyBody(func(body *BodyCandidate) bool { return body.absorb(take.Slot, result) })
	})
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
