package leanagg_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
)

type realPoint struct {
	Root string
	Slot uint64
}

// realVectors is what a test needs of test/vectors/xmss/vectors.json.
type realVectors struct {
	SignatureBytes int
	Validators     []struct {
		Index     uint32
		PublicKey string
	}
	Groups []struct {
		Root             string
		SignaturesOffset int
		Validators       []uint32
		Data             struct {
			Slot                 uint64
			Head, Target, Source realPoint
		}
	}
}

func fromHex(t *testing.T, text string) []byte {
	t.Helper()
	bytes, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// realSnapshot has eight real signatures of one message.
func realSnapshot(t *testing.T) *leanagg.Snapshot {
	t.Helper()
	folder := filepath.Join("..", "..", "test", "vectors", "xmss")
	text, err := os.ReadFile(filepath.Join(folder, "vectors.json"))
	if err != nil {
		t.Skip("skipped: ", err)
	}
	var vectors realVectors
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	signatures, err := os.ReadFile(filepath.Join(folder, "signatures.bin"))
	if err != nil {
		t.Fatal(err)
	}
	point := func(p realPoint) *leanagg.Checkpoint {
		return &leanagg.Checkpoint{Root: fromHex(t, p.Root), Slot: p.Slot}
	}
	group := vectors.Groups[0]
	head, target := point(group.Data.Head), point(group.Data.Target)
	made := &leanagg.Group{
		Data: &leanagg.AttestationData{
			Slot: group.Data.Slot, Head: head, Target: target, Source: point(group.Data.Source),
		},
		Message: fromHex(t, group.Root),
	}
	snapshot := &leanagg.Snapshot{Head: head, Justified: target, Groups: []*leanagg.Group{made}}
	for i, validator := range group.Validators[:8] {
		start := group.SignaturesOffset + i*vectors.SignatureBytes
		made.RawSignatures = append(made.RawSignatures, &leanagg.RawSignature{
			ValidatorIndex: validator, Signature: signatures[start : start+vectors.SignatureBytes],
		})
		key := vectors.Validators[i]
		snapshot.Keys = append(snapshot.Keys, &leanagg.ValidatorKey{
			ValidatorIndex: key.Index, PublicKey: fromHex(t, key.PublicKey),
		})
	}
	return snapshot
}

// With LEANAGG_REAL_PROVER the service proves for real, which takes a minute.
func TestServedRealSignaturesBecomeARealProof(t *testing.T) {
	if os.Getenv("LEANAGG_REAL_PROVER") == "" {
		t.Skip("skipped: LEANAGG_REAL_PROVER is not set")
	}
	snapshot := realSnapshot(t)
	service := serveWith(t, "a", "--standby", "0")
	node := start(t, leanagg.Options{Endpoints: []string{service.address}})
	for range 4 {
		awaitServed(t, node, 0, "ready")
		options := leanagg.SubmitOptions{Deadline: 15 * time.Second, Fence: 30 * time.Second}
		gates := leanagg.Gates{IsAggregator: true, HasState: true}
		node.SubmitOrSkip(101, gates, func() (*leanagg.Snapshot, error) { return snapshot, nil }, options)
		for end := time.Now().Add(31 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			for _, result := range node.TakeResults(101) {
				if proof := result.Outcome.GetProof(); len(proof) > 1000 {
					if bits := result.Outcome.GetParticipants(); len(bits) != 1 || bits[0] != 0xff {
						t.Errorf("participants %x", bits)
					}
					t.Logf("a proof of %d bytes", len(proof))
					return
				}
			}
			if node.Stats().InFlight == 0 {
				break
			}
		}
	}
	t.Fatalf("no proof: %+v", node.Stats())
}
