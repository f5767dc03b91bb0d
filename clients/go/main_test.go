package leanagg_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain fails when goroutines of adapters or services are left after all tests.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := leaks(); code == 0 && left != "" {
		fmt.Fprintf(os.Stderr, "goroutines are left after all tests:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// leaks returns the stacks of goroutines other than the caller's and the runtime's, if some are left
// after a while.
func leaks() string {
	left := []string{}
	for range 100 {
		left = left[:0]
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		for _, stack := range bytes.Split(stacks, []byte("\n\n"))[1:] {
			if text := string(stack); !strings.Contains(text, "testing.") && !strings.Contains(text, "os/signal.") {
				left = append(left, text)
			}
		}
		if len(left) == 0 {
			return ""
		}
		time.Sleep(50 * time.Millisecond)
	}
	return strings.Join(left, "\n\n")
}
