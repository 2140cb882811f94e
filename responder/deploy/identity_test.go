package deploy

import (
	"encoding/json"
	"testing"
)

func id(t testing.TB, text string) Identity {
	t.Helper()
	i, err := ParseIdentity(text)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

const (
	macA  = "52:54:00:00:00:0a"
	macB  = "52:54:00:00:00:0b"
	uuidA = "4c4c4544-0044-4810-8031-b4c04f4a4e31"
	// swappedA is uuidA as SMBIOS keeps it.
	swappedA = "44454c4c-4400-1048-8031-b4c04f4a4e31"
)

func TestParseIdentity(t *testing.T) {
	for text, want := range map[string]string{
		"52:54:00:00:00:0A": macA, "52-54-00-00-00-0a": macA, "5254.0000.000a": macA, "52540000000a": macA,
		"00:11:22:33:44:55:66:77": "00:11:22:33:44:55:66:77",
		"{" + uuidA + "}":         uuidA, "4C4C4544004448108031B4C04F4A4E31": uuidA,
	} {
		if got := id(t, text); got.String() != want {
			t.Errorf("%s is read as %s, want %s", text, got, want)
		}
	}
	for _, bad := range []string{"", "x", "52:54:00:00:00:0", "zz:54:00:00:00:0a", uuidA + "00", "пкс",
		"00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "03000200-0400-0500-0006-000700080009"} {
		if got, err := ParseIdentity(bad); err == nil {
			t.Errorf("%q is read as %s", bad, got)
		}
	}
	if id(t, uuidA).key() != id(t, swappedA).key() {
		t.Error("the two spellings of a UUID have two keys")
	}
	if id(t, uuidA).key() == id(t, "4c4c4544-0044-4810-8031-b4c04f4a4e32").key() {
		t.Error("two UUIDs have one key")
	}
}

// FuzzIdentity: what is read is written so that it is read the same.
func FuzzIdentity(f *testing.F) {
	for _, text := range []string{macA, uuidA, "", "00", "{}", "::::"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		i, err := ParseIdentity(text)
		if err != nil {
			return
		}
		b, err := json.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		var again Identity
		if err := json.Unmarshal(b, &again); err != nil || again != i {
			t.Fatalf("%q: %v, then %v (%v)", text, i, again, err)
		}
		if i.key().key() != i.key() {
			t.Fatalf("%v: the key of its key is another", i)
		}
	})
}

func TestClientIdentities(t *testing.T) {
	a, u := id(t, macA), id(t, uuidA)
	for name, c := range map[string]struct {
		client    Client
		mac, uuid Identity
	}{
		"both":             {Client{a.Bytes(), u.Bytes()}, a, u},
		"guid as chaddr":   {Client{MAC: u.Bytes()}, Identity{}, u},
		"placeholder":      {Client{a.Bytes(), make([]byte, 16)}, a, Identity{}},
		"short uuid":       {Client{a.Bytes(), u.Bytes()[:15]}, a, Identity{}},
		"nothing":          {Client{}, Identity{}, Identity{}},
		"longer than DHCP": {Client{MAC: make([]byte, 17)}, Identity{}, Identity{}},
	} {
		if mac, uuid := c.client.Identities(); mac != c.mac || uuid != c.uuid {
			t.Errorf("%s: %v, %v", name, mac, uuid)
		}
	}
}
