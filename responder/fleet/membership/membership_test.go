package membership

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/fleet"
	"github.com/xdpxe/xdpxe/responder/store"
	"github.com/xdpxe/xdpxe/responder/store/etcdtest"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// join makes a member with a connection of its own, as if on a machine of its own.
func join(t *testing.T, server *etcdtest.Server, name, host string) *Membership {
	t.Helper()
	e, err := store.OpenEtcd(store.EtcdConfig{Endpoints: []string{server.URL}, Timeout: time.Second})
	must(t, err)
	t.Cleanup(func() { e.Close() })
	m, err := Join(e, Config{Name: name, Host: host, Addresses: []string{"192.0.2.1"}, Version: "test", TTL: time.Second})
	must(t, err)
	t.Cleanup(m.die)
	return m
}

// die ends a member as kill -9 does: its lease has to run out.
func (m *Membership) die() {
	m.end()
	m.work.Wait()
}

// names is who a member sees; a + says that it drains.
func names(m *Membership) string {
	var out []string
	for _, member := range m.View().Members() {
		name := member.Name
		if member.Draining {
			name += "+"
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

func sees(t *testing.T, m *Membership, want string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s sees %s", m.name, want), func() bool { return names(m) == want })
}

func isMember(t *testing.T, m *Membership) {
	t.Helper()
	eventually(t, m.name+" is a member", func() bool { s := m.Status(); return s.Member && s.Err == nil })
}

// fails waits until a server says why it is no member.
func fails(t *testing.T, m *Membership, want error) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s: %v", m.name, want), func() bool { return errors.Is(m.Status().Err, want) })
}

const machines = 200

func key200(i int) fleet.Key { return fleet.KeyOf(binary.BigEndian.AppendUint64(nil, uint64(i))[2:]) }

// unanswered returns a machine whose first DISCOVER no member answers, asking them in this order.
func unanswered(members ...*Membership) (int, bool) {
	for i := range machines {
		answered := false
		for _, m := range members {
			answered = answered || m.View().Answers(key200(i), 1)
		}
		if !answered {
			return i, true
		}
	}
	return 0, false
}

// A member that dies goes with its lease, and only its machines move.
func TestDeath(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	a, b, c := join(t, server, "a", "1"), join(t, server, "b", "2"), join(t, server, "c", "3")
	for _, m := range []*Membership{a, b, c} {
		isMember(t, m)
		sees(t, m, "a b c")
	}
	if i, missed := unanswered(a, b, c); missed {
		t.Fatal(i)
	}
	before := a.View()
	c.die()
	sees(t, a, "a b")
	sees(t, b, "a b")
	moved := 0
	for i := range machines {
		was, is := before.Owner(key200(i)).Name, a.View().Owner(key200(i)).Name
		if is != b.View().Owner(key200(i)).Name || was != is && was != "c" {
			t.Fatalf("machine %d: of %s, then of %s", i, was, is)
		}
		if was != is {
			moved++
		}
	}
	if moved == 0 {
		t.Error("no machine moved")
	}
	if s := c.View(); s.Self().Name != "c" || len(s.Members()) != 3 {
		t.Error("what c knew last is forgotten")
	}
}

// A restarted server takes its name over at once, and no other machine can.
func TestRestart(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	a, b := join(t, server, "a", "1"), join(t, server, "b", "2")
	isMember(t, a)
	sees(t, b, "a b")
	foreign := join(t, server, "a", "9")
	fails(t, foreign, ErrNameTaken)
	if err := foreign.Status().Err; !strings.Contains(err.Error(), `"a"`) || !strings.Contains(err.Error(), "machine 1 at [192.0.2.1]") {
		t.Error(err)
	}
	foreign.die()

	// The one before is still there, as in an upgrade: it does not fight.
	next := join(t, server, "a", "1")
	isMember(t, next)
	fails(t, a, ErrSuperseded)
	if a.Status().Member || !next.Status().Member {
		t.Error(a.Status(), next.Status())
	}
	sees(t, b, "a b")
	// If the new one ends, the old one is back.
	must(t, next.Close(within(t)))
	isMember(t, a)
	sees(t, b, "a b")

	must(t, a.Close(within(t)))
	sees(t, b, "b") // at once, though a's lease had time left
	foreign = join(t, server, "a", "9")
	isMember(t, foreign)
}

// No machine is missed when a member drains, and when it comes back.
func TestDrain(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	a, b, c := join(t, server, "a", "1"), join(t, server, "b", "2"), join(t, server, "c", "3")
	for _, m := range []*Membership{a, b, c} {
		isMember(t, m)
		sees(t, m, "a b c")
	}
	drained := make(chan error, 1)
	go func() { drained <- c.Drain(within(t)) }()
	for done := false; !done; {
		select {
		case err := <-drained:
			must(t, err)
			done = true
		default:
		}
		// c goes last: whoever finds it gone must find that the others have taken over.
		if i, missed := unanswered(c, a, b); missed {
			t.Fatalf("machine %d is missed", i)
		}
	}
	sees(t, a, "a b c+")
	sees(t, c, "a b c+")
	for i := range machines {
		if c.View().Answers(key200(i), 1) || !c.View().Answers(key200(i), 3) {
			t.Fatal("c still owns machines, or is of no use at all")
		}
	}
	if members := c.Members(); len(members) != 3 || !members[2].Draining || members[2].Version != "test" {
		t.Error(members)
	}

	go func() { drained <- c.Resume(within(t)) }()
	for done := false; !done; {
		select {
		case err := <-drained:
			must(t, err)
			done = names(a) == "a b c" && names(b) == "a b c"
			if !done {
				drained <- nil
			}
		default:
		}
		// c comes first: whoever finds a machine given up must find that c has it.
		if i, missed := unanswered(a, b, c); missed {
			t.Fatalf("machine %d is missed", i)
		}
	}
	sees(t, c, "a b c")
}

// Without the store all goes on with those that were known; when it is back, so are all.
func TestStoreGone(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	a, b := join(t, server, "a", "1"), join(t, server, "b", "2")
	isMember(t, a)
	isMember(t, b)
	sees(t, a, "a b")
	sees(t, b, "a b")
	for _, back := range []func(){server.Restart, server.Wipe} {
		server.Kill()
		fails(t, a, store.ErrUnavailable)
		fails(t, b, store.ErrUnavailable)
		if names(a) != "a b" || names(b) != "a b" {
			t.Error(names(a), names(b))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if err := a.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, store.ErrUnavailable) {
			t.Error(err)
		}
		cancel()
		if a.View().Self().Draining {
			t.Error("a has given its machines up, and nobody knows")
		}
		back()
		isMember(t, a)
		isMember(t, b)
		sees(t, b, "a+ b") // as it was told to
		must(t, a.Resume(within(t)))
		sees(t, a, "a b")
		sees(t, b, "a b")
	}
}

// A server that starts without a store answers all, and joins when there is one.
func TestJoinLater(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	server.Kill()
	a, b := join(t, server, "a", "1"), join(t, server, "b", "2")
	fails(t, a, store.ErrUnavailable)
	for i := range machines {
		if !a.View().Answers(key200(i), 1) || !b.View().Answers(key200(i), 1) {
			t.Fatal("alone, it does not answer")
		}
	}
	server.Restart()
	sees(t, a, "a b")
	sees(t, b, "a b")
}

// A member whose record goes while it lives puts it there again.
func TestLostRecord(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	a, b := join(t, server, "a", "1"), join(t, server, "b", "2")
	isMember(t, a)
	sees(t, b, "a b")
	e := b.store.(*store.Etcd)
	watching, err := e.Watch(within(t), prefix, revision(t, e))
	must(t, err)
	_, err = e.Commit(within(t), nil, []store.Write{{Key: key("a"), Delete: true}, {Key: key("strange"), Value: []byte("{}")}})
	must(t, err)
	for back := false; !back; {
		changes, ok := <-watching
		if !ok {
			t.Fatal("the watch ended")
		}
		for _, c := range changes {
			back = back || c.Key == key("a") && !c.Deleted
		}
	}
	isMember(t, a)
	sees(t, b, "a b") // and what nobody understands is nobody
	sees(t, a, "a b")
}

// revision returns the store's revision.
func revision(t *testing.T, e *store.Etcd) store.Rev {
	t.Helper()
	rev, err := e.Scan(within(t), prefix, func(store.Item) error { return nil })
	must(t, err)
	return rev
}

func TestConfig(t *testing.T) {
	for says, c := range map[string]Config{
		`server name ""`:            {Host: "1"},
		`server name "a b"`:         {Name: "a b", Host: "1"},
		`server name "a/b"`:         {Name: "a/b", Host: "1"},
		`server "a": its machine`:   {Name: "a"},
		`1 to 128 characters, with`: {Name: strings.Repeat("a", 129), Host: "1"},
	} {
		if _, err := Join(nil, c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
