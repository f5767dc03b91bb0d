package leanagg_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	"github.com/lean-aggregator/lean-aggregator/clients/go/leanaggtest"
)

// TestManyGoroutines calls everything at once while services fail. Each group ends once, unless its request is
// skipped or its proof is dropped.
func TestManyGoroutines(t *testing.T) {
	first := leanaggtest.Start(t, leanaggtest.Options{ProveTime: 2 * time.Millisecond})
	second := leanaggtest.Start(t, leanaggtest.Options{ProveTime: 2 * time.Millisecond})
	skipped := sync.Map{}
	node := start(t, leanagg.Options{
		Endpoints: []string{first.Address(), second.Address()},
		OnSkip:    func(skip leanagg.Skip) { skipped.Store(skip.RequestID, true) },
	})
	ends := map[string]int{}
	var all sync.WaitGroup
	stop := make(chan struct{})
	all.Add(1)
	go func() {
		defer all.Done()
		for {
			for _, result := range node.TakeResults(5) {
				ends[fmt.Sprint(result.RequestID, "/", result.GroupIndex)]++
			}
			select {
			case <-stop:
				return
			case <-node.Ready():
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	submitted := sync.Map{}
	var submitters sync.WaitGroup
	for i, priority := range []leanagg.Priority{leanagg.Proposal, leanagg.Aggregation, leanagg.Backlog} {
		submitters.Add(1)
		go func() {
			defer submitters.Done()
			for range 60 {
				options := leanagg.SubmitOptions{Priority: priority, Fence: 6 * time.Second, MayReplace: i == 1}
				answer := node.SubmitOrSkip(5, open,
					func() (*leanagg.Snapshot, error) { return votes(1, 2), nil }, options)
				if answer.Submitted() {
					submitted.Store(answer.RequestID, true)
				}
				node.Cancel(func(g leanagg.GroupInfo) bool { return g.GroupIndex == 1 && i == 0 })
				node.Stats()
				time.Sleep(3 * time.Millisecond)
			}
		}()
	}
	first.LoseAcknowledgements(3)
	time.Sleep(50 * time.Millisecond)
	first.Kill()
	submitters.Wait()
	if err := first.Restart(); err != nil {
		t.Error(err)
	}
	ctx, end := context.WithTimeout(context.Background(), 10*time.Second)
	defer end()
	if err := node.Close(ctx); err != nil {
		t.Errorf("%v: %+v", err, node.Stats())
	}
	close(stop)
	all.Wait()
	for _, result := range node.TakeResults(5) {
		ends[fmt.Sprint(result.RequestID, "/", result.GroupIndex)]++
	}
	for group, count := range ends {
		id, _, _ := strings.Cut(group, "/")
		if _, isKnown := submitted.Load(id); count != 1 || !isKnown {
			t.Errorf("%s has ended %d times", group, count)
		}
	}
	stats := node.Stats()
	missing := missingEnds(&submitted, &skipped, ends)
	if len(ends) == 0 || stats.InFlight != 0 || missing > int(stats.Fenced+stats.Dropped) {
		t.Errorf("%d groups ended, %d are missing; %+v", len(ends), missing, stats)
	}
}

// missingEnds counts the groups, two of each request that is not skipped, that have not ended.
func missingEnds(submitted, skipped *sync.Map, ends map[string]int) int {
	missing := 0
	submitted.Range(func(id, _ any) bool {
		if _, isSkipped := skipped.Load(id); isSkipped {
			return true
		}
		for group := range 2 {
			if ends[fmt.Sprint(id, "/", group)] == 0 {
				missing++
			}
		}
		return true
	})
	return missing
}
