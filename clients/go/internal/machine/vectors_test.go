package machine_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/vectors"
)

type vectorFile struct {
	Cases []vectorCase `json:"cases"`
}

type vectorCase struct {
	Name          string       `json:"name"`
	HasVerifyHook bool         `json:"hasVerifyHook"`
	Endpoints     []string     `json:"endpoints"`
	ResultsMax    int          `json:"resultsMax"`
	BytesMax      int          `json:"bytesMax"`
	Steps         []vectorStep `json:"steps"`
}

type vectorStep struct {
	AtMs    int64             `json:"atMs"`
	Event   json.RawMessage   `json:"event"`
	Effects []json.RawMessage `json:"effects"`
	IsIdle  *bool             `json:"isIdle"`
}

// payload stands for an outcome: carried, never looked at.
type payload = any

// TestCases plays every case of test/vectors/adapter through a fresh machine.
func TestCases(t *testing.T) {
	steps, cases := 0, 0
	for _, file := range vectors.Files(t, "adapter", "*.json") {
		var read vectorFile
		vectors.Read(t, file, &read)
		for _, each := range read.Cases {
			steps += len(each.Steps)
			cases++
			t.Run(strings.TrimSuffix(filepath.Base(file), ".json")+"/"+each.Name, func(t *testing.T) {
				playCase(t, each)
			})
		}
	}
	t.Logf("%d cases, %d steps", cases, steps)
}

// TestGenerated plays the sequences that the reference machine has made.
func TestGenerated(t *testing.T) {
	steps, sequences := 0, 0
	for _, file := range vectors.Files(t, "generated", "*.ndjson") {
		vectors.Lines(t, file, func(line []byte) {
			var each vectorCase
			if err := json.Unmarshal(line, &each); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			steps += len(each.Steps)
			sequences++
			t.Run(each.Name, func(t *testing.T) { playCase(t, each) })
		})
	}
	t.Logf("%d sequences, %d steps", sequences, steps)
}

func playCase(t *testing.T, c vectorCase) {
	m := machine.New[payload](machine.Options{
		Endpoints: c.Endpoints, HasVerifyHook: c.HasVerifyHook,
		ResultsMax: c.ResultsMax, BytesMax: c.BytesMax,
	})
	for i, step := range c.Steps {
		event, err := readEvent(step.Event)
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		got := []any{}
		for _, effect := range m.Handle(event, step.AtMs) {
			got = append(got, plainOf(effect))
		}
		want := []any{}
		for _, effect := range step.Effects {
			var plain any
			if err := json.Unmarshal(effect, &plain); err != nil {
				t.Fatal(err)
			}
			want = append(want, plain)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("step %d at %d ms, %s:\ngot  %s\nwant %s", i, step.AtMs, step.Event, text(got), text(want))
		}
		if step.IsIdle != nil && m.IsIdle() != *step.IsIdle {
			t.Fatalf("step %d at %d ms, %s: idle is %t", i, step.AtMs, step.Event, m.IsIdle())
		}
	}
}

func text(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(encoded)
}

var eventKinds = map[string]func() any{
	"ask":          func() any { return new(machine.Ask) },
	"submitted":    func() any { return new(machine.Submitted) },
	"accepted":     func() any { return new(machine.Accepted) },
	"refused":      func() any { return new(machine.Refused) },
	"failed":       func() any { return new(machine.Failed) },
	"opening":      func() any { return new(machine.Opening) },
	"opened":       func() any { return new(machine.Opened) },
	"status":       func() any { return new(machine.Status) },
	"disconnected": func() any { return new(machine.Disconnected) },
	"outcome":      func() any { return new(machine.Outcome[payload]) },
	"summary":      func() any { return new(machine.Summary) },
	"verified":     func() any { return new(machine.Verified) },
	"cancel":       func() any { return new(machine.Cancel) },
	"take":         func() any { return new(machine.Take) },
	"tick":         func() any { return new(machine.Tick) },
	"closing":      func() any { return new(machine.Closing) },
	"closed":       func() any { return new(machine.Closed) },
}

func readEvent(text json.RawMessage) (machine.Event, error) {
	var named struct{ Kind string }
	if err := json.Unmarshal(text, &named); err != nil {
		return nil, err
	}
	make := eventKinds[named.Kind]
	if make == nil {
		return nil, fmt.Errorf("unknown event kind %q", named.Kind)
	}
	into := make()
	if err := json.Unmarshal(text, into); err != nil {
		return nil, err
	}
	event, isEvent := reflect.ValueOf(into).Elem().Interface().(machine.Event)
	if !isEvent {
		return nil, fmt.Errorf("%T is no event", into)
	}
	return event, nil
}

// plainOf turns an effect into what its JSON is read as.
func plainOf(effect machine.Effect) any {
	kind := ""
	var fields any = effect
	switch e := effect.(type) {
	case machine.Go:
		kind = "go"
	case machine.Skip:
		kind = "skip"
	case machine.Send:
		kind = "send"
	case machine.CancelCall:
		kind = "cancel"
	case machine.Forget:
		kind = "forget"
	case machine.Await:
		kind = "await"
	case machine.Verify[payload]:
		kind = "verify"
	case machine.Deliver[payload]:
		result := map[string]any{"kind": e.Result.Kind, "ref": e.Result.Ref}
		if e.Result.Kind == machine.ResultOutcome {
			result["payload"] = e.Result.Payload
		}
		kind, fields = "deliver", map[string]any{"result": result}
	case machine.Summarised:
		kind = "summarised"
	case machine.Balanced:
		kind = "balanced"
	case machine.Count:
		kind, fields = string(e.Kind), map[string]any{"ref": e.Ref}
	}
	plain := map[string]any{}
	encoded, err := json.Marshal(fields)
	if err == nil {
		err = json.Unmarshal(encoded, &plain)
	}
	if err != nil {
		panic(err)
	}
	plain["kind"] = kind
	return plain
}
