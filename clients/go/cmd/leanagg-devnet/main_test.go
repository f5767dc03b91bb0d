package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
)

// The endpoint is of nobody: port 1 refuses.
const started = `{"start":{"endpoint":"127.0.0.1:1","nodeId":"a","genesisUnixMs":1,"slotMs":4000,"keys":["AAE="]}}`

func TestEachQuestionHasOneAnswer(t *testing.T) {
	point := &leanagg.Checkpoint{Root: make([]byte, 32)}
	encoded, err := proto.Marshal(&leanagg.Snapshot{Head: point, Justified: point})
	if err != nil {
		t.Fatal(err)
	}
	slot := leanagg.SlotClock{Genesis: time.UnixMilli(1), Slot: 4 * time.Second}.SlotAt(time.Now())
	asked, err := json.Marshal(map[string]any{"submit": map[string]any{
		"slot": slot, "isAggregator": false, "hasState": true, "priority": "backlog", "snapshot": encoded,
	}})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	in := strings.NewReader(started + "\n" + string(asked) + "\n" + `{"take":{"slot":1}}` + "\n")
	if err := serve(in, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || lines[0] != "{}" || lines[1] != `{"skipped":"not_aggregator"}` {
		t.Fatalf("%q", lines)
	}
	var answer taken
	if err := json.Unmarshal([]byte(lines[2]), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Skips[leanagg.NotAggregator] != 1 || len(answer.Results) != 0 || answer.Sessions.Count != 0 {
		t.Errorf("%+v", answer)
	}
}

func TestWhatIsNoQuestionIsNamed(t *testing.T) {
	for in, want := range map[string]string{
		`{"take":{"slot":1}}`:                      "question 1: expected start, which comes first",
		started + `{}`:                             "question 2: expected start, submit or take",
		started + started:                          "question 2: start: the adapter runs already",
		started + `{"submit":{"snapshot":"/w=="}}`: "question 2: submit: snapshot: ",
		`{"stop":{}}`:                              `question 1: json: unknown field "stop"`,
		`{"start":{}}`:                             "question 1: start: leanagg: NodeID",
	} {
		err := serve(strings.NewReader(in), &strings.Builder{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected %s", in, err, want)
		}
	}
}
