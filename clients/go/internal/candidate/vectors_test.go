package candidate_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/candidate"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/vectors"
)

type machine = candidate.Machine[string, string]

type finished = candidate.Finished[string, string]

type vectorCase struct {
	Name          string
	ComponentsMax int
	Steps         []struct {
		Event   event
		Effects []json.RawMessage
		Best    *finished
	}
}

// event has the fields of all kinds of events.
type event struct {
	Kind       string
	Slot       uint64
	Parent     string
	RequestID  string
	Proof      string
	IsFinal    bool
	IsVerified bool
	Bad        []int
	Components []candidate.Component[string]
}

func (e event) play(m *machine) (effects candidate.Effects[string], taken any) {
	block := candidate.Block{Slot: e.Slot, Parent: e.Parent}
	switch e.Kind {
	case "offered":
		return m.Offered(block, e.Components), nil
	case "stale":
		return m.Stale(), nil
	case "submitted":
		return m.Submitted(e.RequestID), nil
	case "skipped":
		return m.Skipped(e.RequestID, e.IsFinal), nil
	case "missed":
		return m.Missed(e.RequestID), nil
	case "proved":
		return m.Proved(e.RequestID, e.Proof, e.IsVerified), nil
	case "superseded":
		return m.Superseded(e.RequestID), nil
	case "failed":
		return m.Failed(e.RequestID, e.Bad), nil
	case "tick":
		return m.Tick(e.Slot), nil
	case "take":
		made, effects := m.Take(block)
		return effects, map[string]any{"kind": "taken", "candidate": plain(made)}
	}
	panic("unknown event " + e.Kind)
}

// plain returns a finished candidate as JSON has it.
func plain(made *finished) any {
	if made == nil {
		return nil
	}
	return map[string]any{"components": made.Components, "worth": made.Worth, "proof": made.Proof}
}

// TestVectors plays every case and sequence of test/vectors/candidate.
func TestVectors(t *testing.T) {
	for _, file := range vectors.Files(t, "candidate", "*.json") {
		var read struct{ Cases []vectorCase }
		vectors.Read(t, file, &read)
		for _, each := range read.Cases {
			t.Run(each.Name, func(t *testing.T) { playCase(t, each) })
		}
	}
	for _, file := range vectors.Files(t, "candidate", "*.ndjson") {
		vectors.Lines(t, file, func(line []byte) {
			var each vectorCase
			if err := json.Unmarshal(line, &each); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			t.Run(each.Name, func(t *testing.T) { playCase(t, each) })
		})
	}
}

func playCase(t *testing.T, c vectorCase) {
	m := candidate.New[string, string](c.ComponentsMax)
	for i, step := range c.Steps {
		effects, taken := step.Event.play(m)
		got := []any{}
		if taken != nil {
			got = append(got, taken)
		}
		for _, requestID := range effects.Cancel {
			got = append(got, map[string]any{"kind": "cancel", "requestId": requestID})
		}
		if submit := effects.Submit; submit != nil {
			got = append(got, map[string]any{
				"kind": "submit", "slot": submit.Slot, "components": submit.Components,
			})
		}
		if want := text(t, step.Effects); text(t, got) != want {
			t.Fatalf("step %d, %+v:\ngot  %s\nwant %s", i, step.Event, text(t, got), want)
		}
		if !reflect.DeepEqual(m.Best(), step.Best) {
			t.Fatalf("step %d, %+v: best is %+v, want %+v", i, step.Event, m.Best(), step.Best)
		}
	}
}

// text returns JSON with ordered keys.
func text(t *testing.T, value any) string {
	t.Helper()
	var plain any
	encoded, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(encoded, &plain)
	}
	if err == nil {
		encoded, err = json.Marshal(plain)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}
