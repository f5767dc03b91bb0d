package leanagg

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

func TestAConnectionThatIsGivenUpIsClosed(t *testing.T) {
	service, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	to, err := parseAddress(service.Addr().String(), false)
	if err != nil {
		t.Fatal(err)
	}
	made := dial(to, nil)
	near, err := made.transport.DialContext(context.Background(), "tcp", service.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := service.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	if err := far.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	made.giveUp()
	if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("%v, expected the end of the connection", err)
	}
}

// However long the request of a stream takes to be written, it goes before the tries that come after it.
func TestATryWaitsForTheStreamThatIsAboutToOpen(t *testing.T) {
	node := newNode(t, silentAddress(t), Options{})
	at := newEndpoint(node, node.endpoints[0].address) // nothing follows it
	defer at.close()
	onWritten := at.opening()
	waited := make(chan struct{})
	go func() {
		defer close(waited)
		at.awaitStream(context.Background())
	}()
	select {
	case <-waited:
		t.Error("a try overtakes the stream")
	case <-time.After(2 * writeTime):
	}
	onWritten()
	select {
	case <-waited:
	case <-time.After(openTimeout / 2):
		t.Error("a try waits for a stream whose request is written")
	}
	at.opening()
	ended, end := context.WithCancel(context.Background())
	end()
	begin := time.Now()
	at.awaitStream(ended)
	if took := time.Since(begin); took > openTimeout/2 {
		t.Errorf("a try that is over waits for %v", took)
	}
}
