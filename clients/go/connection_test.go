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
