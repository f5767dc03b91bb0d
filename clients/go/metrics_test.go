package leanagg

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestMetricsOfWhichOneIsTakenLeaveTheOthersFree(t *testing.T) {
	registry := prometheus.NewRegistry()
	other, err := newMetrics(nil, "lean")
	if err != nil {
		t.Fatal(err)
	}
	registry.MustRegister(other.dropped)
	if _, err := newMetrics(registry, "lean"); err == nil {
		t.Fatal("no error for a name that is taken")
	}
	if !registry.Unregister(other.dropped) {
		t.Error("the metric of another is gone")
	}
	if _, err := newMetrics(registry, "lean"); err != nil {
		t.Error(err)
	}
	if _, err := newMetrics(registry, "lean"); err == nil {
		t.Error("no error for a second adapter")
	}
}
