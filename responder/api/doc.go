// Package api is the daemon's HTTP+JSON API: deployments, machines, groups,
// the ignore list, profiles, members of the fleet, what happens as a stream, and
// why a client is answered as it is. openapi.json describes it; a test holds one
// against the other.
//
// New makes the handler. Who may open the control socket may use all of it
// (package control mounts it there). A Server answers on TCP, by TLS only, and
// wants of each request a token or a client's certificate; but for the document
// itself, and for an installer's callback, which a token for that one run of a
// deployment is good for (Tokens).
//
// Lists come in pages. What is changed can be changed on the condition that it
// is as the caller has seen it: ETag and If-Match, which are the store's
// revisions. A create that names its id can be repeated. Errors are
// application/problem+json.
//
// All is bounded: bodies, headers, connections, subscribers, and how long each
// request may take. A reader that does not read misses events, and holds up nobody.
package api
