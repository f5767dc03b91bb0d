package leanagg

import (
	"errors"
	"testing"

	"connectrpc.com/connect"

	"github.com/lean-aggregator/lean-aggregator/clients/go/internal/machine"
)

// TestARefusalMayPassUnlessItIsOfTheRequest: only what the request itself has is final.
func TestARefusalMayPassUnlessItIsOfTheRequest(t *testing.T) {
	of := func(code connect.Code) error { return connect.NewWireError(code, errors.New("refused")) }
	for name, each := range map[string]struct {
		err     error
		reason  SkipReason
		mayPass bool
	}{
		"a field":          {of(connect.CodeInvalidArgument), machine.Invalid, false},
		"a number":         {of(connect.CodeOutOfRange), machine.Invalid, false},
		"the size":         {&httpStatusError{status: 413}, machine.Invalid, false},
		"the token":        {of(connect.CodeUnauthenticated), machine.Invalid, true},
		"the policy":       {of(connect.CodePermissionDenied), machine.Invalid, true},
		"the node's id":    {of(connect.CodeFailedPrecondition), machine.Invalid, true},
		"what is offered":  {of(connect.CodeUnimplemented), machine.Invalid, true},
		"the proxy":        {&httpStatusError{status: 404}, machine.Invalid, true},
		"the token source": {errInvalidToken, machine.Invalid, true},
		"the room":         {of(connect.CodeResourceExhausted), machine.Overloaded, false},
		"an error":         {of(connect.CodeInternal), machine.Unreachable, false},
		"no answer":        {of(connect.CodeUnavailable), "", false},
	} {
		want := failure{reason: each.reason, mayPass: each.mayPass}
		if got := failureOf(each.err); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}
