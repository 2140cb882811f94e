package deploy

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/xdpxe/xdpxe/responder/store"
)

// Prefix is that of all keys of this package. Below it is one item for each
//
//	deployment/ID                 Deployment
//	run/ID/MACHINE                Run: MACHINE is as the deployment, or the group's member, names it
//	machine/MACHINE               Machine
//	group/NAME                    Group
//	member/NAME/MACHINE           {}
//	ignore/PATTERN                Ignored
//
// in JSON. A MACHINE is Identity.key's text.
const Prefix = "deploy/"

const (
	kindDeployment = "deployment"
	kindRun        = "run"
	kindMachine    = "machine"
	kindGroup      = "group"
	kindMember     = "member"
	kindIgnored    = "ignore"
)

func deploymentKey(id string) string { return Prefix + kindDeployment + "/" + id }
func runKey(r RunID) string          { return Prefix + kindRun + "/" + r.ID + "/" + r.Machine.String() }
func machineKey(id Identity) string  { return Prefix + kindMachine + "/" + id.key().String() }
func groupKey(name string) string    { return Prefix + kindGroup + "/" + name }
func ignoredKey(p Pattern) string    { return Prefix + kindIgnored + "/" + p.key().String() }
func memberKey(group string, id Identity) string {
	return Prefix + kindMember + "/" + group + "/" + id.key().String()
}

func (p Pattern) key() Pattern {
	p.Machine = p.Machine.key()
	return p
}

// RunID names one machine's run of a deployment.
type RunID struct {
	ID      string   // of the deployment
	Machine Identity // as the deployment or its group names it; a key
}

// parsedKey is a key in its parts.
type parsedKey struct {
	kind    string
	name    string   // of deployment, group
	machine Identity // of run, machine, member
	pattern Pattern  // of ignore
}

func parseKey(key string) (p parsedKey, err error) {
	kind, rest, ok := strings.Cut(strings.TrimPrefix(key, Prefix), "/")
	if !ok {
		return p, fmt.Errorf("key %q: not ours", key)
	}
	p.kind = kind
	switch kind {
	case kindDeployment, kindGroup:
		p.name = rest
	case kindRun, kindMember:
		name, machine, _ := strings.Cut(rest, "/")
		p.name = name
		p.machine, err = ParseIdentity(machine)
	case kindMachine:
		p.machine, err = ParseIdentity(rest)
	case kindIgnored:
		p.pattern, err = ParsePattern(rest)
	default:
		err = fmt.Errorf("kind %q is not known", kind)
	}
	if err == nil && (kind == kindDeployment || kind == kindGroup || kind == kindRun || kind == kindMember) {
		err = checkName("name", p.name)
	}
	if err != nil {
		return p, fmt.Errorf("key %q: %w", key, err)
	}
	p.machine, p.pattern = p.machine.key(), p.pattern.key()
	return p, nil
}

// put is the write of a record. Records are of types that JSON can hold.
func put(key string, record any) store.Write {
	value, err := json.Marshal(record)
	if err != nil {
		panic(fmt.Sprintf("deploy: %T as JSON: %v", record, err))
	}
	return store.Write{Key: key, Value: value}
}
