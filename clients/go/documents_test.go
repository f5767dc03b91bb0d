package leanagg_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// around is what the code of docs/adopt/gean.md stands in: the names that a client has.
const around = `package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
)

var (
	flags        struct{ Aggregators []string }
	nodeID       string
	registry     = prometheus.NewRegistry()
	genesis      time.Time
	slotDuration time.Duration
	log          = slog.Default()
	slot         uint64
	gates        leanagg.Gates
	store        votes
	gossip       publisher
)

type votes struct{}

func (votes) Votes(uint64) []int       { return nil }
func (votes) Promote(*leanagg.Outcome) {}

type publisher struct{}

func (publisher) Publish(*leanagg.Outcome) {}

func verify(*leanagg.Outcome) error                   { return nil }
func snapshotOf([]int) (*leanagg.Snapshot, error)     { return nil, leanagg.ErrNothing }
func currentSlot() uint64                             { return slot }

func main() {
BLOCK0
	if err != nil {
		panic(err)
	}
BLOCK1
BLOCK2
}
`

// TestTheDocumentsCodeCompiles builds the code of docs/adopt/gean.md.
func TestTheDocumentsCodeCompiles(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "adopt", "gean.md"))
	if err != nil {
		t.Skip("skipped: ", err)
	}
	source := around
	blocks := codeBlocks(string(text))
	if len(blocks) != 3 {
		t.Fatalf("%d blocks of code", len(blocks))
	}
	for i, block := range blocks {
		source = strings.Replace(source, "BLOCK"+string(rune('0'+i)), block, 1)
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// codeBlocks returns the text of the blocks that are fenced as Go.
func codeBlocks(text string) []string {
	blocks, isIn := []string{}, false
	for _, line := range strings.Split(text, "\n") {
		switch trimmed := strings.TrimSpace(line); {
		case trimmed == "```go":
			blocks, isIn = append(blocks, ""), true
		case trimmed == "```":
			isIn = false
		case isIn:
			blocks[len(blocks)-1] += line + "\n"
		}
	}
	return blocks
}
