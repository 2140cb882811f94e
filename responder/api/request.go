package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/xdpxe/xdpxe/responder/deploy"
	"github.com/xdpxe/xdpxe/responder/store"
)

// Bounds of what is sent to us.
const (
	maxBody   = 64 << 10
	maxBulk   = 32 << 20  // of a body with many deployments or machines
	maxBulks  = 2         // such bodies at a time
	maxItem   = 512 << 10 // of one deployment: six bytes of JSON may stand for one
	maxErrors = 20        // that one answer tells
)

// decode reads a body of one JSON value. An empty one leaves into as it is.
func decode(w http.ResponseWriter, r *http.Request, limit int64, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return badBody(err)
	}
	return atEnd(w, dec)
}

// atEnd refuses what follows the value. Then the body is read, and the
// deadline for that is over: the connection is listened to for its end.
func atEnd(w http.ResponseWriter, dec *json.Decoder) error {
	if _, err := dec.Token(); err == nil {
		return badBody(errors.New("something follows the value"))
	} else if !errors.Is(err, io.EOF) {
		return badBody(err)
	}
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	return nil
}

// decodeDeployments reads one deployment or an array of them; many says which.
// All mistakes are told, up to a bound.
func decodeDeployments(w http.ResponseWriter, r *http.Request) (ds []NewDeployment, many bool, err error) {
	body := bufio.NewReader(http.MaxBytesReader(w, r.Body, maxBulk))
	dec := json.NewDecoder(body)
	switch first, err := firstByte(body); {
	case err != nil:
		return nil, false, badBody(err)
	case first != '[':
		d, err := decodeOne(dec)
		if err != nil {
			return nil, false, badBody(err)
		}
		return []NewDeployment{d}, false, atEnd(w, dec)
	}
	if _, err := dec.Token(); err != nil {
		return nil, true, badBody(err)
	}
	bad := problem(http.StatusUnprocessableEntity, CodeInvalid, "nothing was changed: what was sent has mistakes")
	for i := 0; dec.More(); i++ {
		if i == deploy.MaxCreate {
			return nil, true, problem(http.StatusRequestEntityTooLarge, CodeTooLarge, fmt.Sprintf("more than %d deployments in one call: divide them", deploy.MaxCreate))
		}
		d, err := decodeOne(dec)
		if e := (*itemError)(nil); errors.As(err, &e) {
			bad.Errors = append(bad.Errors, FieldError{fmt.Sprintf("[%d]", i), jsonMessage(e.err)})
			if len(bad.Errors) == maxErrors {
				return nil, true, bad
			}
			continue
		} else if err != nil {
			return nil, true, badBody(err)
		}
		ds = append(ds, d)
	}
	if _, err := dec.Token(); err != nil {
		return nil, true, badBody(err)
	}
	if len(bad.Errors) > 0 {
		return nil, true, bad
	}
	return ds, true, atEnd(w, dec)
}

// itemError is about one value; what follows can be read.
type itemError struct{ err error }

func (e *itemError) Error() string { return e.err.Error() }
func (e *itemError) Unwrap() error { return e.err }

func decodeOne(dec *json.Decoder) (d NewDeployment, err error) {
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return d, err
	}
	if len(raw) > maxItem {
		return d, &itemError{fmt.Errorf("has %d bytes, at most %d", len(raw), maxItem)}
	}
	one := json.NewDecoder(strings.NewReader(string(raw)))
	one.DisallowUnknownFields()
	if raw[0] != '{' {
		err = errors.New("is no deployment: an object is needed")
	} else {
		err = one.Decode(&d)
	}
	if err != nil {
		return d, &itemError{err}
	}
	return d, nil
}

// firstByte looks at the first that is no space.
func firstByte(r *bufio.Reader) (byte, error) {
	for {
		c, err := r.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return 0, errors.New("is empty")
		case err != nil:
			return 0, err
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			continue
		}
		return c, r.UnreadByte()
	}
}

// badBody is the problem of a body that cannot be read.
func badBody(err error) error {
	if big := (*http.MaxBytesError)(nil); errors.As(err, &big) {
		return problem(http.StatusRequestEntityTooLarge, CodeTooLarge, fmt.Sprintf("the body has more than %d bytes", big.Limit))
	}
	return problem(http.StatusBadRequest, CodeInvalid, "the body: "+jsonMessage(err))
}

// jsonMessage says what is wrong with JSON in the API's words, not Go's.
func jsonMessage(err error) string {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("is no JSON at byte %d: %s", syntax.Offset, syntax)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "is no JSON: it ends too early"
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Sprintf("%s is a JSON %s, and something else is needed", kind.Field, kind.Value)
	case errors.As(err, &kind):
		return fmt.Sprintf("is a JSON %s, and something else is needed", kind.Value)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// match is the condition of a change.
type match struct {
	rev    store.Rev // 0: any
	exists bool      // If-Match: *
}

// ifMatch reads If-Match: one of our ETags, or *.
func ifMatch(r *http.Request) (m match, err error) {
	values := r.Header.Values("If-Match")
	if len(values) == 0 {
		return m, nil
	}
	tag := strings.TrimSpace(strings.Join(values, ","))
	if tag == "*" {
		return match{exists: true}, nil
	}
	if digits, ok := strings.CutPrefix(tag, `"`); ok {
		digits, _ = strings.CutSuffix(digits, `"`)
		if rev, err := strconv.ParseInt(digits, 10, 64); err == nil && rev > 0 && tag == etag(store.Rev(rev)) {
			return match{rev: store.Rev(rev)}, nil
		}
	}
	return m, badParam("If-Match", `is not * and not one ETag as this API gives them, such as "17"`)
}

func setETag(w http.ResponseWriter, rev store.Rev) {
	w.Header().Set("ETag", etag(rev))
}

func etag(rev store.Rev) string { return `"` + strconv.FormatInt(int64(rev), 10) + `"` }

// limitOf reads how many items a page is to have.
func limitOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > deploy.MaxPage {
		return 0, badParam("limit", fmt.Sprintf("is none of 1 to %d", deploy.MaxPage))
	}
	return n, nil
}

const defaultPage = 100

// identityParam reads a machine from a parameter; zero: there is none.
func identityParam(r *http.Request, name string) (deploy.Identity, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return deploy.Identity{}, nil
	}
	id, err := deploy.ParseIdentity(text)
	if err != nil {
		return id, badParam(name, err.Error())
	}
	return id, nil
}

// machineOf reads the machine of the path.
func machineOf(r *http.Request) (deploy.Identity, error) {
	id, err := deploy.ParseIdentity(r.PathValue("id"))
	if err != nil {
		return id, badParam("id", err.Error())
	}
	return id, nil
}
