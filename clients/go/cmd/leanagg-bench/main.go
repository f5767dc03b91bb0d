// Command leanagg-bench prints what a submission costs the node's tick: the median and the 99th
// percentile of 2000 calls of SubmitOrSkip, at 20 KB and at 1 MB.
//
//	go run ./cmd/leanagg-bench                          # against a service in this process
//	go run ./cmd/leanagg-bench -endpoint 127.0.0.1:9190 # against a served one
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"time"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	"github.com/lean-aggregator/lean-aggregator/clients/go/leanaggtest"
)

func main() {
	endpoint := flag.String("endpoint", "", "address of a service; empty: one in this process")
	count := flag.Int("count", 2000, "number of submissions of each size")
	flag.Parse()
	if err := run(*endpoint, *count); err != nil {
		fmt.Fprintln(os.Stderr, "leanagg-bench:", err)
		os.Exit(1)
	}
}

func run(endpoint string, count int) error {
	if endpoint == "" {
		service, err := leanaggtest.New(leanaggtest.Options{})
		if err != nil {
			return err
		}
		defer service.Kill()
		endpoint = service.Address()
	}
	node, err := leanagg.New(leanagg.Options{
		Endpoints: []string{endpoint},
		NodeID:    "leanagg-bench",
		Clock:     leanagg.SlotClock{Genesis: time.Now(), Slot: 4 * time.Second},
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	defer func() {
		ctx, end := context.WithTimeout(context.Background(), time.Second)
		defer end()
		_ = node.Close(ctx) // what is cut off does not matter here
	}()
	fmt.Printf("%s, %d cores, %s\n", runtime.Version(), runtime.NumCPU(), runtime.GOARCH)
	for _, signatures := range []int{8, 400} {
		measure(node, signatures, count)
	}
	return nil
}

// measure times submissions with this many signatures of 2536 bytes.
func measure(node *leanagg.Aggregator, signatures, count int) {
	snapshot := votes(signatures)
	times := make([]time.Duration, 0, count)
	for len(times) < count {
		start := time.Now()
		node.SubmitOrSkip(1, leanagg.Gates{IsAggregator: true, HasState: true},
			func() (*leanagg.Snapshot, error) { return snapshot, nil },
			leanagg.SubmitOptions{MayReplace: true, Fence: 6 * time.Second})
		times = append(times, time.Since(start))
		time.Sleep(5 * time.Millisecond)
		node.TakeResults(1)
	}
	slices.Sort(times)
	fmt.Printf("%4d KB: median %v, 99th percentile %v of %d\n", signatures*2536/1024,
		times[count/2].Round(time.Microsecond), times[count*99/100].Round(time.Microsecond), count)
}

func votes(signatures int) *leanagg.Snapshot {
	point := &leanagg.Checkpoint{Root: make([]byte, 32), Slot: 1}
	group := &leanagg.Group{
		Data: &leanagg.AttestationData{Slot: 1, Head: point, Target: point, Source: point},
	}
	snapshot := &leanagg.Snapshot{Head: point, Justified: point, Groups: []*leanagg.Group{group}}
	for validator := range uint32(signatures) {
		key := make([]byte, 52)
		key[0], key[1] = byte(validator), byte(validator>>8)
		snapshot.Keys = append(snapshot.Keys,
			&leanagg.ValidatorKey{ValidatorIndex: validator, PublicKey: key})
		group.RawSignatures = append(group.RawSignatures,
			&leanagg.RawSignature{ValidatorIndex: validator, Signature: make([]byte, 2536)})
	}
	return snapshot
}
