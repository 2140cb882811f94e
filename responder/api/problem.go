package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/store"
)

// Problem is an error as the API tells it (RFC 9457). It has no type of its
// own, which stands for about:blank; programs look at Code.
type Problem struct {
	Status int          `json:"status"`
	Title  string       `json:"title"`
	Code   string       `json:"code"`
	Detail string       `json:"detail"`
	Errors []FieldError `json:"errors,omitempty"` // CodeInvalid: all mistakes, up to a bound
}

// FieldError is one mistake in what was sent.
type FieldError struct {
	Field   string `json:"field"` // as in JSON: "target.mac", of many "[3].profile"; the name of a parameter
	Message string `json:"message"`
}

// Codes of problems.
const (
	CodeInvalid      = "invalid"      // 400, 422: what was sent makes no sense
	CodeUnauthorized = "unauthorized" // 401: no token or certificate, or a wrong one
	CodeForbidden    = "forbidden"    // 403: a browser, for another site
	CodeNotFound     = "not_found"    // 404
	CodeNotAllowed   = "not_allowed"  // 405
	CodeNoStore      = "no_store"     // 404: the configuration has nothing that needs deployments
	CodeRefused      = "refused"      // 409: not in that state
	CodeExists       = "exists"       // 409: and is different
	CodeLimit        = "limit"        // 409: too many
	CodeChanged      = "changed"      // 412, 409: meanwhile
	CodeTooLarge     = "too_large"    // 413
	CodeBusy         = "busy"         // 503: too many of these at once
	CodeUnavailable  = "unavailable"  // 503: the store does not answer
	CodeInternal     = "internal"     // 500
)

// Error is Detail, and every mistake on a line of its own.
func (p *Problem) Error() string {
	var s strings.Builder
	s.WriteString(p.Detail)
	for _, e := range p.Errors {
		s.WriteString("\n  " + e.Field + ": " + e.Message)
	}
	return s.String()
}

func problem(status int, code, detail string) *Problem {
	return &Problem{Status: status, Title: http.StatusText(status), Code: code, Detail: detail}
}

// problemOf says by which problem an error is told. conditional: the request
// was made on the condition of a revision.
func problemOf(err error, conditional bool) *Problem {
	if p := (*Problem)(nil); errors.As(err, &p) {
		return p
	}
	if fields := mistakes(err); len(fields) > 0 {
		p := problem(http.StatusUnprocessableEntity, CodeInvalid, "nothing was changed: what was sent has mistakes")
		p.Errors = fields
		return p
	}
	refused := (*deploy.Refused)(nil)
	switch {
	case errors.As(err, &refused):
		return problem(http.StatusConflict, CodeRefused, err.Error())
	case errors.Is(err, deploy.ErrNotFound):
		return problem(http.StatusNotFound, CodeNotFound, err.Error())
	case errors.Is(err, deploy.ErrExists):
		return problem(http.StatusConflict, CodeExists, err.Error())
	case errors.Is(err, deploy.ErrLimit), errors.Is(err, store.ErrTooLarge):
		return problem(http.StatusConflict, CodeLimit, err.Error())
	case errors.Is(err, deploy.ErrChanged), errors.Is(err, store.ErrConflict):
		if conditional {
			return problem(http.StatusPreconditionFailed, CodeChanged, err.Error())
		}
		return problem(http.StatusConflict, CodeChanged, err.Error())
	case errors.Is(err, store.ErrUnavailable), errors.Is(err, store.ErrClosed), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem(http.StatusServiceUnavailable, CodeUnavailable, err.Error())
	}
	return problem(http.StatusInternalServerError, CodeInternal, err.Error())
}

// mistakes are those that an error has joined.
func mistakes(err error) []FieldError {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		var fields []FieldError
		for _, one := range all.Unwrap() {
			fields = append(fields, mistakes(one)...)
		}
		return fields
	}
	if bad := (*deploy.Invalid)(nil); errors.As(err, &bad) {
		return []FieldError{{bad.Field, bad.Msg}}
	}
	return nil
}
