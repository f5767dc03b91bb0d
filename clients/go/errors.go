package leanagg

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

// failure is what an error of a submission means to the machine ("On the wire", Calls).
type failure struct {
	// reason is empty when the try had no answer and may be sent again.
	reason    SkipReason
	isTimeout bool
}

var invalidCodes = map[connect.Code]bool{
	connect.CodeInvalidArgument:    true,
	connect.CodeOutOfRange:         true,
	connect.CodeFailedPrecondition: true,
	connect.CodeUnauthenticated:    true,
	connect.CodePermissionDenied:   true,
	connect.CodeNotFound:           true,
	connect.CodeUnimplemented:      true,
}

// headlineOf says what it is that every call will meet again.
func headlineOf(err error) string {
	var token *tokenError
	if errors.As(err, &token) {
		return "Token function of this node gives no token"
	}
	return "service refuses this node"
}

func failureOf(err error) failure {
	var status *httpStatusError
	var token *tokenError
	switch {
	case errors.As(err, &status):
		return failureOfHTTP(status.status)
	case errors.As(err, &token):
		return failure{reason: machine.Invalid}
	case errors.Is(err, context.DeadlineExceeded), connect.CodeOf(err) == connect.CodeDeadlineExceeded:
		return failure{isTimeout: true}
	case !connect.IsWireError(err):
		return failure{} // the connection broke, or could not be made
	}
	switch code := connect.CodeOf(err); {
	case code == connect.CodeUnavailable, code == connect.CodeAborted, code == connect.CodeCanceled:
		return failure{}
	case code == connect.CodeResourceExhausted:
		return failure{reason: machine.Overloaded}
	case invalidCodes[code]:
		return failure{reason: machine.Invalid}
	}
	return failure{reason: machine.Unreachable}
}

func failureOfHTTP(status int) failure {
	switch status {
	case 429, 502, 503, 504:
		return failure{}
	}
	return failure{reason: machine.Invalid}
}
