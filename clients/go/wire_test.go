package leanagg

import (
	"encoding/hex"
	"encoding/json"
	"math"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/vectors"
)

// TestFrozenBytes compares the bytes of a frozen request, and what each try appends to them.
func TestFrozenBytes(t *testing.T) {
	for _, file := range vectors.Files(t, "requests", "*.json") {
		var read struct {
			Cases []struct {
				Name, Frozen string
				Request      json.RawMessage
				Tries        []struct {
					DeadlineMs, FenceMs float64
					Steps               []struct {
						UntilMs float64
						Weight  uint32
					}
					Appended string
				}
			}
		}
		vectors.Read(t, file, &read)
		for _, c := range read.Cases {
			request := &aggregatorv1.SubmitSnapshotRequest{}
			if err := protojson.Unmarshal(c.Request, request); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			frozen, err := encode(request)
			if err != nil || hex.EncodeToString(frozen) != c.Frozen {
				t.Errorf("%s: %v\ngot  %x\nwant %s", c.Name, err, frozen, c.Frozen)
			}
			for i, try := range c.Tries {
				var steps []stepAt
				for _, step := range try.Steps {
					steps = append(steps, stepAt{untilMs: int64(math.Floor(step.UntilMs)), weight: step.Weight})
				}
				got := budgets(int64(try.DeadlineMs), int64(try.FenceMs), steps, 0)
				if hex.EncodeToString(got) != try.Appended {
					t.Errorf("%s: try %d: got %x, want %s", c.Name, i, got, try.Appended)
				}
			}
		}
	}
}
