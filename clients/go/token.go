package leanagg

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"
)

// tokenError is an error of the node's own token function.
type tokenError struct{ cause error }

func (e *tokenError) Error() string { return "Token: " + e.cause.Error() }
func (e *tokenError) Unwrap() error { return e.cause }

// errInvalidToken does not show the token.
var errInvalidToken = &tokenError{
	cause: errors.New("it is empty or has characters other than printable ASCII, such as a line's end"),
}

// errTokenLate is the error of a call for which Token has not returned in time. It says nothing of the service.
var errTokenLate = errors.New("Token has not returned in time")

// tokenAnswer is what the node's function returns.
type tokenAnswer struct {
	token string
	err   error
}

// token asks the node for the token of one call, within a limit; empty: the node has none. A function that does not
// return is not called again meanwhile, and goes on alone.
func (e *endpoint) token(parent context.Context, limit time.Duration) (string, error) {
	if e.owner.options.Token == nil {
		return "", nil
	}
	ctx, end := context.WithTimeout(parent, limit)
	defer end()
	select {
	case e.asking <- struct{}{}:
	case <-ctx.Done():
		return "", e.tokenLate(ctx)
	}
	if ctx.Err() != nil {
		<-e.asking
		return "", e.tokenLate(ctx)
	}
	answers := make(chan tokenAnswer, 1)
	go func() {
		answer := e.callToken(ctx)
		<-e.asking
		answers <- answer
	}()
	select {
	case answer := <-answers:
		switch {
		case answer.err != nil && ctx.Err() != nil: // it has given up itself
		case answer.err != nil:
			return "", &tokenError{cause: answer.err}
		case !isToken(answer.token):
			return "", errInvalidToken
		default:
			return answer.token, nil
		}
	case <-ctx.Done():
	}
	return "", e.tokenLate(ctx)
}

// isToken is true for printable ASCII without spaces, which a header can carry; false for an empty text.
func isToken(text string) bool {
	isOther := func(r rune) bool { return r < '!' || r > '~' }
	return text != "" && !strings.ContainsFunc(text, isOther)
}

// callToken turns a panic of the node's function into an error.
func (e *endpoint) callToken(ctx context.Context) (answer tokenAnswer) {
	defer func() {
		if cause := recover(); cause != nil {
			answer.err = fmt.Errorf("panicked: %v", cause)
		}
	}()
	answer.token, answer.err = e.owner.options.Token(ctx)
	return answer
}

// tokenLate warns where the time was over, not where something else has ended the call.
func (e *endpoint) tokenLate(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		e.warnOnce(errTokenLate)
	}
	return errTokenLate
}

// newCall is a call with this token; empty: without one.
func newCall[T any](message *T, token string) *connect.Request[T] {
	call := connect.NewRequest(message)
	if token != "" {
		call.Header().Set("Authorization", "Bearer "+token)
	}
	return call
}
