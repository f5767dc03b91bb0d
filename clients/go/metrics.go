package leanagg

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

// metrics are those of client/PROTOCOL.md. All exist from the start.
type metrics struct {
	skipped       *prometheus.CounterVec
	votes         *prometheus.CounterVec
	merges        *prometheus.CounterVec
	submitSeconds prometheus.Histogram
	workerSeconds prometheus.Histogram
	resubmitted   prometheus.Counter
	late          prometheus.Counter
	fenced        prometheus.Counter
	lost          prometheus.Counter
	dropped       prometheus.Counter
}

// mergeStatuses are the names of how a merge may end; a merge has something to prove.
var mergeStatuses = map[aggregatorv1.OutcomeStatus]string{
	aggregatorv1.OutcomeStatus_OUTCOME_STATUS_PROVED:      "proved",
	aggregatorv1.OutcomeStatus_OUTCOME_STATUS_PROVED_LATE: "proved_late",
	aggregatorv1.OutcomeStatus_OUTCOME_STATUS_REJECTED:    "rejected",
	aggregatorv1.OutcomeStatus_OUTCOME_STATUS_NOT_STARTED: "not_started",
	aggregatorv1.OutcomeStatus_OUTCOME_STATUS_STOPPED:     "stopped",
	aggregatorv1.OutcomeStatus_OUTCOME_STATUS_FAILED:      "failed",
}

func newMetrics(registerer prometheus.Registerer, namespace string) (*metrics, error) {
	name := func(rest string) string { return namespace + "_aggregator_" + rest }
	counter := func(rest, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name(rest), Help: help})
	}
	m := &metrics{
		skipped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("skipped_total"),
			Help: "Snapshots that the node did not submit, or that the service skipped.",
		}, []string{"reason"}),
		votes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("votes_total"),
			Help: "Votes of the groups whose outcome the node took, each once, by fate.",
		}, []string{"fate"}),
		merges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("merges_total"),
			Help: "Merges whose outcome the node took, by status.",
		}, []string{"status"}),
		submitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    name("submit_duration_seconds"),
			Help:    "Time that one submission takes from the node's tick.",
			Buckets: []float64{0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1},
		}),
		workerSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    name("worker_duration_seconds"),
			Help:    "Time from the service's receipt of a snapshot to the end of its last group.",
			Buckets: []float64{0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128},
		}),
		resubmitted: counter("resubmitted_total", "Resubmissions to another endpoint."),
		late:        counter("late_results_total", "Proofs made after the deadline."),
		fenced:      counter("fenced_results_total", "Proofs past their fence."),
		lost:        counter("lost_groups_total", "Groups that no service ended."),
		dropped:     counter("dropped_results_total", "Results dropped because nobody took them."),
	}
	for _, reason := range machine.SkipReasons {
		m.skipped.WithLabelValues(string(reason))
	}
	for _, fate := range VoteFates {
		m.votes.WithLabelValues(string(fate))
	}
	for _, status := range mergeStatuses {
		m.merges.WithLabelValues(status)
	}
	if registerer == nil {
		return m, nil
	}
	if err := m.register(registerer); err != nil {
		return nil, fmt.Errorf("Registerer: %w; a node that exports the metric itself removes its own", err)
	}
	return m, nil
}

// register registers all metrics or, with an error, none of them.
func (m *metrics) register(registerer prometheus.Registerer) error {
	all := []prometheus.Collector{
		m.skipped, m.votes, m.merges, m.submitSeconds, m.workerSeconds, m.resubmitted, m.late, m.fenced, m.lost,
		m.dropped,
	}
	for i, each := range all {
		if err := registerer.Register(each); err != nil {
			for _, registered := range all[:i] {
				registerer.Unregister(registered)
			}
			return err
		}
	}
	return nil
}
