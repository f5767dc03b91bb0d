package leanagg

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	aggregatorv1 "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1"
	rpc "github.com/lean-aggregator/lean-aggregator/clients/go/gen/lean/aggregator/v1/aggregatorv1connect"
)

// receiveBytesMax is the largest message that the adapter accepts.
const receiveBytesMax = 32 << 20

// connection is one HTTP/2 connection to an endpoint, with a client for each method. It is replaced
// by a new one when its endpoint was silent.
type connection struct {
	transport *http.Transport
	// lives ends the tries on the connection, and closes it, once it is given up.
	lives  context.Context
	giveUp context.CancelFunc
	submit *connect.Client[frozenRequest, aggregatorv1.SubmitSnapshotResponse]
	stream *connect.Client[aggregatorv1.StreamResultsRequest, aggregatorv1.StreamResultsResponse]
	cancel *connect.Client[aggregatorv1.CancelSessionRequest, aggregatorv1.CancelSessionResponse]
}

// errGivenUp is the error of a try on a connection that was silent: it had no answer and no timeout.
var errGivenUp = errors.New("the connection was silent and has been given up")

// frozenRequest is an encoded SubmitSnapshotRequest: the frozen bytes and the budgets of one try.
type frozenRequest struct {
	frozen  []byte
	budgets []byte
}

// dial makes a connection that is opened by the first call.
func dial(to address, tlsConfig *tls.Config) *connection {
	protocols := new(http.Protocols)
	if to.isTLS {
		protocols.SetHTTP2(true)
	} else {
		protocols.SetUnencryptedHTTP2(true)
	}
	lives, giveUp := context.WithCancel(context.Background())
	dialer := &net.Dialer{Timeout: openTimeout}
	transport := &http.Transport{
		Protocols:          protocols,
		DisableCompression: true,
		IdleConnTimeout:    time.Minute,
		DialContext: func(ctx context.Context, network, host string) (net.Conn, error) {
			if to.socket != "" {
				network, host = "unix", to.socket
			}
			conn, err := dialer.DialContext(ctx, network, host)
			if err != nil {
				return nil, err
			}
			return bind(lives, conn), nil
		},
	}
	if to.isTLS && tlsConfig != nil {
		transport.TLSClientConfig = tlsConfig.Clone()
	}
	caller := &http.Client{Transport: &caller{transport: transport}}
	options := connect.WithClientOptions(
		connect.WithGRPC(),
		connect.WithCodec(codec{}),
		connect.WithReadMaxBytes(receiveBytesMax),
		connect.WithAcceptCompression("gzip", nil, nil),
	)
	return &connection{
		transport: transport, lives: lives, giveUp: giveUp,
		submit: connect.NewClient[frozenRequest, aggregatorv1.SubmitSnapshotResponse](
			caller, to.base+rpc.AggregatorServiceSubmitSnapshotProcedure, options),
		stream: connect.NewClient[aggregatorv1.StreamResultsRequest, aggregatorv1.StreamResultsResponse](
			caller, to.base+rpc.AggregatorServiceStreamResultsProcedure, options),
		cancel: connect.NewClient[aggregatorv1.CancelSessionRequest, aggregatorv1.CancelSessionResponse](
			caller, to.base+rpc.AggregatorServiceCancelSessionProcedure, options),
	}
}

// close gives the connection up.
func (c *connection) close() {
	c.giveUp()
	c.transport.CloseIdleConnections()
}

// boundConn is closed with the connection that has dialled it: one that is silent looks alive for minutes.
type boundConn struct {
	net.Conn
	unbind func() bool
}

func bind(lives context.Context, conn net.Conn) net.Conn {
	return &boundConn{Conn: conn, unbind: context.AfterFunc(lives, func() { _ = conn.Close() })}
}

func (c *boundConn) Close() error {
	c.unbind()
	return c.Conn.Close()
}

// caller sends requests, and turns answers that are not gRPC into errors.
type caller struct{ transport *http.Transport }

// httpStatusError is an answer of a proxy or of another program: an HTTP status without a gRPC one.
type httpStatusError struct{ status int }

func (e *httpStatusError) Error() string {
	return fmt.Sprintf("HTTP status %d instead of a gRPC answer; a proxy or another program is at this address", e.status)
}

// RoundTrip implements [http.RoundTripper].
func (c *caller) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := c.transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	isGRPC := strings.HasPrefix(response.Header.Get("Content-Type"), "application/grpc")
	if response.StatusCode != http.StatusOK || !isGRPC {
		response.Body.Close()
		return nil, &httpStatusError{status: response.StatusCode}
	}
	return response, nil
}

// codec is protobuf, and takes a request that is encoded already.
type codec struct{}

func (codec) Name() string { return "proto" }

func (c codec) Marshal(message any) ([]byte, error) {
	if request, isFrozen := message.(*frozenRequest); isFrozen {
		return c.MarshalAppend(make([]byte, 0, len(request.frozen)+len(request.budgets)), message)
	}
	return c.MarshalAppend(nil, message)
}

func (codec) MarshalAppend(to []byte, message any) ([]byte, error) {
	switch m := message.(type) {
	case *frozenRequest:
		return append(append(to, m.frozen...), m.budgets...), nil
	case proto.Message:
		return proto.MarshalOptions{}.MarshalAppend(to, m)
	}
	return nil, fmt.Errorf("cannot encode %T", message)
}

func (codec) Unmarshal(bytes []byte, message any) error {
	if m, isProto := message.(proto.Message); isProto {
		if err := proto.Unmarshal(bytes, m); err != nil {
			return &answerError{cause: err}
		}
		return nil
	}
	return fmt.Errorf("cannot decode into %T", message)
}
