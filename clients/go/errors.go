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
	// mayPass: it was refused for what is not in the request, such as the caller's token.
	mayPass bool
}

// invalidCodes has the codes that are [Invalid], and whether each may pass.
var invalidCodes = map[connect.Code]bool{
	connect.CodeInvalidArgument:    false,
	connect.CodeOutOfRange:         false,
	connect.CodeFailedPrecondition: true,
	connect.CodeUnauthenticated:    true,
	connect.CodePermissionDenied:   true,
	connect.CodeNotFound:           true,
	connect.CodeUnimplemented:      true,
}

// answerError is an answer of the service in which the adapter finds nothing that it understands.
type answerError struct{ cause error }

func (e *answerError) Error() string { return "answer: " + e.cause.Error() }
func (e *answerError) Unwrap() error { return e.cause }

var errNeither = &answerError{cause: errors.New("neither accepted nor skipped")}

// headlineOf says what it is that every call will meet again.
func headlineOf(err error) string {
	var token *tokenError
	var answer *answerError
	switch {
	case errors.As(err, &token), errors.Is(err, errTokenLate):
		return "Token function of this node gives no token"
	case errors.As(err, &answer):
		return "service answers what cannot be read"
	}
	return "service refuses this node"
}

func failureOf(err error) failure {
	var status *httpStatusError
	var token *tokenError
	var answer *answerError
	switch {
	case errors.As(err, &status):
		return failureOfHTTP(status.status)
	case errors.As(err, &token):
		return failure{reason: machine.Invalid, mayPass: true}
	case errors.As(err, &answer):
		return failure{reason: machine.Unreachable}
	case errors.Is(err, context.DeadlineExceeded), connect.CodeOf(err) == connect.CodeDeadlineExceeded:
		return failure{isTimeout: true}
	case !connect.IsWireError(err):
		return failure{} // the connection broke, or could not be made
	}
	code := connect.CodeOf(err)
	switch code {
	case connect.CodeUnavailable, connect.CodeAborted, connect.CodeCanceled:
		return failure{}
	case connect.CodeResourceExhausted:
		return failure{reason: machine.Overloaded}
	}
	if mayPass, isInvalid := invalidCodes[code]; isInvalid {
		return failure{reason: machine.Invalid, mayPass: mayPass}
	}
	return failure{reason: machine.Unreachable}
}

func failureOfHTTP(status int) failure {
	switch status {
	case 429, 502, 503, 504:
		return failure{}
	}
	// 413 is a proxy's limit on the size of the request.
	return failure{reason: machine.Invalid, mayPass: status != 413}
}
