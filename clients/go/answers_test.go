package leanagg_test

import (
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	leanagg "github.com/lean-aggregator/lean-aggregator/clients/go"
	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/faultnet"
)

// An answer that cannot be read would come again: the submission is over, and is not sent once more.
func TestAnAnswerThatCannotBeReadEndsTheSubmission(t *testing.T) {
	for name, message := range map[string][]byte{
		"neither accepted nor skipped": {},
		"bytes of no message":          {0xff},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int64
			server, err := faultnet.Listen(answering(message, &calls), nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(server.Kill)
			skips := make(chan leanagg.Skip, 1)
			node := start(t, leanagg.Options{
				Endpoints: []string{server.Address()},
				OnSkip:    func(skip leanagg.Skip) { skips <- skip },
			})
			submit(t, node, leanagg.SubmitOptions{}, 1)
			select {
			case skip := <-skips:
				if skip.Reason != leanagg.Unreachable || calls.Load() != 1 {
					t.Errorf("%+v after %d calls", skip, calls.Load())
				}
			case <-time.After(5 * time.Second):
				t.Errorf("the submission goes on after %d calls", calls.Load())
			}
		})
	}
}

// answering answers submissions with the bytes of one message. Its streams say nothing.
func answering(message []byte, calls *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(to http.ResponseWriter, request *http.Request) {
		if !strings.HasSuffix(request.URL.Path, "/SubmitSnapshot") {
			<-request.Context().Done()
			return
		}
		calls.Add(1)
		_, _ = io.Copy(io.Discard, request.Body) // a caller that has left needs no answer
		to.Header().Set("Content-Type", "application/grpc")
		to.Header().Set("Trailer", "Grpc-Status")
		frame := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message)))
		_, _ = to.Write(append(frame, message...))
		to.Header().Set("Grpc-Status", "0")
	})
}
