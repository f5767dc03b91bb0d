// Command leanagg-bench is the node of the adapters' bench (make adapters) in Go. It prints lines of
// JSON, as the nodes in TypeScript and Rust do.
//
//	leanagg-bench tick COUNT ENDPOINT       COUNT submissions of each size; prints what the calls took
//	leanagg-bench votes ENDPOINT ENDPOINT   one group every 250 ms until its input ends; prints how each ended
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"time"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
)

const (
	signatureBytes = 2536
	keyBytes       = 52
	votesOfGroup   = 4
	submitEvery    = 250 * time.Millisecond
	tickEvery      = 10 * time.Millisecond
	fence          = 6 * time.Second
)

var gates = leanagg.Gates{IsAggregator: true, HasState: true}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "leanagg-bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 3 && args[0] == "tick":
		count, err := strconv.Atoi(args[1])
		if err != nil || count < 1 {
			return fmt.Errorf("COUNT is %q, expected a number from 1", args[1])
		}
		return ticks(count, args[2])
	case len(args) > 1 && args[0] == "votes":
		return votes(args[1:])
	}
	return errors.New("usage: leanagg-bench tick COUNT ENDPOINT | votes ENDPOINT…")
}

func connect(endpoints []string) (*leanagg.Aggregator, error) {
	node, err := leanagg.New(leanagg.Options{
		Endpoints: endpoints,
		NodeID:    "bench-node",
		Clock:     leanagg.SlotClock{Genesis: time.Now(), Slot: 4 * time.Second},
		Logger:    slog.New(slog.DiscardHandler),
	})
	time.Sleep(500 * time.Millisecond)
	return node, err
}

func shut(node *leanagg.Aggregator, bound time.Duration) {
	ctx, end := context.WithTimeout(context.Background(), bound)
	defer end()
	_ = node.Close(ctx) // what is cut off does not matter here
}

// ticks times submissions of about 20 KB and of 1 MB.
func ticks(count int, endpoint string) error {
	node, err := connect([]string{endpoint})
	if err != nil {
		return err
	}
	defer shut(node, time.Millisecond)
	for _, signatures := range []int{8, 400} {
		template := snapshot(1, signatures)
		made := func() (*leanagg.Snapshot, error) { return template, nil }
		times := make([]time.Duration, 0, count)
		skipped := 0
		for len(times) < count {
			start := time.Now()
			answer := node.SubmitOrSkip(1, gates, made,
				leanagg.SubmitOptions{MayReplace: true, Fence: fence})
			times = append(times, time.Since(start))
			if !answer.Submitted() {
				skipped++
			}
			node.TakeResults(1)
			time.Sleep(submitEvery / 10)
		}
		slices.Sort(times)
		printLine(map[string]any{
			"bytes": signatures * signatureBytes, "count": count, "skipped": skipped,
			"p50Ms": milliseconds(times[count/2]), "p99Ms": milliseconds(times[count*99/100]),
		})
	}
	return nil
}

func votes(endpoints []string) error {
	node, err := connect(endpoints)
	if err != nil {
		return err
	}
	end := make(chan struct{})
	go func() {
		defer close(end)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	take := func(slot uint64) {
		for _, result := range node.TakeResults(slot) {
			kind := string(result.Kind)
			if result.Outcome != nil && len(result.Outcome.GetProof()) > 0 {
				kind = "proved"
			}
			printLine(map[string]any{"kind": kind, "endpoint": result.Endpoint})
		}
	}
	for slot := uint64(1); ; slot++ {
		made := func() (*leanagg.Snapshot, error) { return snapshot(slot, votesOfGroup), nil }
		answer := node.SubmitOrSkip(slot, gates, made, leanagg.SubmitOptions{Fence: fence})
		if answer.Submitted() {
			printLine(map[string]any{"kind": "submitted"})
		} else {
			printLine(map[string]any{"kind": "skipped", "reason": answer.Skipped})
		}
		for waited := time.Duration(0); waited < submitEvery; waited += tickEvery {
			time.Sleep(tickEvery)
			take(slot)
		}
		select {
		case <-end:
			shut(node, fence)
			take(slot)
			return nil
		default:
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func printLine(line map[string]any) {
	_ = json.NewEncoder(os.Stdout).Encode(line) // a reader that is gone ends the bench by itself
}

func snapshot(slot uint64, signatures int) *leanagg.Snapshot {
	point := &leanagg.Checkpoint{Root: make([]byte, 32), Slot: slot}
	group := &leanagg.Group{
		Data: &leanagg.AttestationData{Slot: slot, Head: point, Target: point, Source: point},
	}
	made := &leanagg.Snapshot{Head: point, Justified: point, Groups: []*leanagg.Group{group}}
	for validator := range uint32(signatures) {
		key := binary.LittleEndian.AppendUint32(nil, validator)
		key = append(key, make([]byte, keyBytes-len(key))...)
		made.Keys = append(made.Keys, &leanagg.ValidatorKey{ValidatorIndex: validator, PublicKey: key})
		group.RawSignatures = append(group.RawSignatures,
			&leanagg.RawSignature{ValidatorIndex: validator, Signature: make([]byte, signatureBytes)})
	}
	return made
}
