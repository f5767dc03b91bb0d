// Command leanagg-devnet is the adapter of a node of tools/devnet in mode go. The node asks by lines of
// JSON on standard input; each line is answered by one line on standard output, in order. The first
// line is a start, the others are a submit or a take. Bytes are base64, messages of the proto are
// base64 of their encoding. The end of standard input closes the adapter.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// drain is how long a closing adapter waits for what is in flight.
const drain = time.Second

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "leanagg-devnet:", err)
		os.Exit(1)
	}
}

// serve answers until the end of the input, or until a line that is no question.
func serve(in io.Reader, out io.Writer) error {
	questions := json.NewDecoder(in)
	questions.DisallowUnknownFields()
	answers := json.NewEncoder(out)
	var running *adapter
	defer func() {
		if running == nil {
			return
		}
		ctx, end := context.WithTimeout(context.Background(), drain)
		defer end()
		_ = running.node.Close(ctx) // what is cut off is lost with its node
	}()
	for line := 1; ; line++ {
		var asked question
		if err := questions.Decode(&asked); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("question %d: %w", line, err)
		}
		answer, err := asked.answer(&running)
		if err != nil {
			return fmt.Errorf("question %d: %w", line, err)
		}
		if err := answers.Encode(answer); err != nil {
			return err
		}
	}
}

// answer starts the adapter, or asks the one that runs.
func (q question) answer(running **adapter) (any, error) {
	switch {
	case q.Start != nil && *running == nil:
		started, err := q.Start.adapter()
		if err != nil {
			return nil, fmt.Errorf("start: %w", err)
		}
		*running = started
		return struct{}{}, nil
	case q.Start != nil:
		return nil, errors.New("start: the adapter runs already")
	case *running == nil:
		return nil, errors.New("expected start, which comes first")
	case q.Submit != nil:
		return (*running).submit(*q.Submit)
	case q.Take != nil:
		return (*running).take(*q.Take)
	}
	return nil, errors.New("expected start, submit or take")
}
