package leanagg

import (
	"context"
	"encoding/hex"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/vectors"
)

type pointVector struct {
	Root hexBytes
	Slot uint64
}

func (p *pointVector) point() *Checkpoint {
	if p == nil {
		return nil
	}
	return &Checkpoint{Root: p.Root, Slot: p.Slot}
}

type hexBytes []byte

func (b *hexBytes) UnmarshalText(text []byte) error {
	bytes, err := hex.DecodeString(string(text))
	*b = bytes
	return err
}

var roles = map[string]KeyRole{"attestation": AttestationKey, "proposal": ProposalKey}

type mergeVector struct {
	Head, Justified *pointVector
	SSZBitlists     bool
	Keys            []struct {
		ValidatorIndex uint32
		PublicKey      hexBytes
		Role           string
	}
	Components []struct {
		Data *struct {
			Slot                 uint64
			Head, Target, Source *pointVector
		}
		Root         hexBytes
		Slot         uint64
		Role         string
		Proof        hexBytes
		Participants hexBytes
		ProofSystem  *struct{ Scheme, Revision string }
		Signatures   []struct {
			ValidatorIndex uint32
			Signature      hexBytes
		}
	}
}

func (v *mergeVector) merge() *Merge {
	made := &Merge{Head: v.Head.point(), Justified: v.Justified.point(), SSZBitlists: v.SSZBitlists}
	for _, key := range v.Keys {
		made.Keys = append(made.Keys, &ValidatorKey{
			ValidatorIndex: key.ValidatorIndex, PublicKey: key.PublicKey, Role: roles[key.Role],
		})
	}
	for _, each := range v.Components {
		component := Component{
			Role: roles[each.Role], Proof: each.Proof, Participants: each.Participants,
		}
		if each.Data == nil {
			component.Root = &SignedRoot{Root: each.Root, Slot: each.Slot}
		} else {
			component.Data = &AttestationData{
				Slot: each.Data.Slot, Head: each.Data.Head.point(), Target: each.Data.Target.point(),
				Source: each.Data.Source.point(),
			}
		}
		if system := each.ProofSystem; system != nil {
			component.ProofSystem = &ProofSystem{Scheme: system.Scheme, Revision: system.Revision}
		}
		for _, raw := range each.Signatures {
			component.Signatures = append(component.Signatures, &RawSignature{
				ValidatorIndex: raw.ValidatorIndex, Signature: raw.Signature,
			})
		}
		made.Components = append(made.Components, component)
	}
	return made
}

type mergesFile struct {
	Cases []struct {
		Name     string
		Slot     uint64
		Priority Priority
		Merge    mergeVector
		Snapshot hexBytes
		Skipped  SkipReason
		Names    string
	}
	Outcomes []struct {
		Name    string
		Outcome hexBytes
		Event   struct {
			RequestID, Message                   string
			GroupIndex                           int
			IsProof, IsLate, IsErased, IsDrained bool
			Participants                         hexBytes
		}
		Claims []struct {
			Participants, Root hexBytes
			Slot               uint64
			Role               string
		}
	}
}

// TestMerges holds the snapshots of merges, and what is not submitted, by test/vectors/merges.
func TestMerges(t *testing.T) {
	// It accepts no connection: the endpoint is connecting, and takes submissions.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, file := range vectors.Files(t, "merges", "*.json") {
		var read mergesFile
		vectors.Read(t, file, &read)
		for _, c := range read.Cases {
			node, err := New(Options{
				Endpoints: []string{silent.Addr().String()}, NodeID: "node-1",
				Clock:  SlotClock{Genesis: time.Now(), Slot: 4 * time.Second},
				Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			answer := node.MergeOrSkip(c.Slot, Gates{HasState: true},
				func() (*Merge, error) { return c.Merge.merge(), nil }, MergeOptions{Priority: c.Priority})
			closed, end := context.WithCancel(context.Background())
			end()
			_ = node.Close(closed) // what is in flight does not matter here
			if answer.Skipped != c.Skipped {
				t.Errorf("%s: skipped as %q, want %q", c.Name, answer.Skipped, c.Skipped)
			}
			if len(c.Merge.Components) == 0 {
				continue
			}
			made, err := c.Merge.merge().snapshot(c.Slot, c.Priority)
			if c.Skipped != "" {
				if err == nil || !strings.Contains(err.Error(), c.Names) {
					t.Errorf("%s: error %v does not name %q", c.Name, err, c.Names)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", c.Name, err)
				continue
			}
			made.Slot = c.Slot
			// Go writes the members of a oneof last: the messages are compared, not their bytes.
			want := &Snapshot{}
			if err := proto.Unmarshal(c.Snapshot, want); err != nil || !proto.Equal(made, want) {
				t.Errorf("%s: %v\ngot  %v\nwant %v", c.Name, err, made, want)
			}
		}
	}
}

// TestMergeOutcomes holds what the machine and the node get of an outcome.
func TestMergeOutcomes(t *testing.T) {
	for _, file := range vectors.Files(t, "merges", "*.json") {
		var read mergesFile
		vectors.Read(t, file, &read)
		for _, c := range read.Outcomes {
			outcome := &Outcome{}
			if err := proto.Unmarshal(c.Outcome, outcome); err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			got, want := outcomeEvent("A", outcome, false), c.Event
			if got.RequestID != want.RequestID || got.GroupIndex != want.GroupIndex ||
				got.Message != want.Message || len(got.Participants) != len(want.Participants) ||
				got.IsProof != want.IsProof || got.IsLate != want.IsLate ||
				got.IsErased != want.IsErased || got.IsDrained != want.IsDrained {
				t.Errorf("%s: got %+v, want %+v", c.Name, got, want)
			}
			if len(outcome.GetClaims()) != len(c.Claims) {
				t.Errorf("%s: %d claims, want %d", c.Name, len(outcome.GetClaims()), len(c.Claims))
				continue
			}
			for i, claim := range outcome.GetClaims() {
				root := hexBytes(claim.GetRoot().GetRoot())
				if !reflect.DeepEqual(claim.GetParticipants(), []byte(c.Claims[i].Participants)) ||
					hex.EncodeToString(root) != hex.EncodeToString(c.Claims[i].Root) ||
					claim.GetRoot().GetSlot() != c.Claims[i].Slot || claim.GetRole() != roles[c.Claims[i].Role] {
					t.Errorf("%s: claim %d is %v, want %+v", c.Name, i, claim, c.Claims[i])
				}
			}
		}
	}
}

// TestComponentChecks: a component says one message, and who signed it, once.
func TestComponentChecks(t *testing.T) {
	root := &SignedRoot{Root: make([]byte, 32), Slot: 6}
	for name, component := range map[string]Component{
		"data and root":        {Data: &AttestationData{}, Root: root},
		"proof and signatures": {Root: root, Proof: []byte{1}, Signatures: []*RawSignature{{}}},
	} {
		_, err := (&Merge{Components: []Component{component}}).snapshot(5, Aggregation)
		if err == nil || !strings.Contains(err.Error(), "components[0]."+name) {
			t.Errorf("error %v does not name %q", err, name)
		}
	}
	if _, err := (&Merge{Components: []Component{{}}}).snapshot(5, Aggregation); err == nil {
		t.Error("a component without a message has no error")
	}
}
