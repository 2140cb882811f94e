package config

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xdpxe/xdpxe/responder/policy"
)

// TestMistakes: every mistake of a file, each at its place, and no others.
func TestMistakes(t *testing.T) {
	const profile = "profiles: {p: {files: {bios: a}}}\n"
	for _, tc := range []struct {
		name, yaml string
		want       []string
	}{
		{"unknown key", "interface: [eth0]\n", []string{`x.yaml:1:1: unknown key "interface" (did you mean interfaces?)`}},
		{"unknown key further in", "tftp:\n  port: 69\n  max_window: 4\n", []string{`x.yaml:3:3: unknown key "max_window" (did you mean max-window?)`}},
		{"unknown key in flow", "log: {levle: info, format: json}\n", []string{`x.yaml:1:7: unknown key "levle" (did you mean level?)`}},
		{"unknown key, far from all", "metrics: {zebra: 1}\n", []string{`x.yaml:1:11: unknown key "zebra" (known here: listen)`}},
		{"unknown key of a match", "policy:\n  rules:\n    - match: {vendor: [x]}\n      boot: ignore\n", []string{`x.yaml:3:15: unknown key "vendor" (known here: arch, circuit-id, mac, remote-id, subnet, user-class, uuid, vendor-class)`}},
		{"unknown key of a profile", profile + "policy: {default: p}\n", nil},
		{"key of a profile", "profiles:\n  p:\n    file: {bios: a}\n    files: {bios: a}\n", []string{`x.yaml:3:5: unknown key "file" (did you mean files?)`}},
		{"key twice", "root: /a\ndatapath: auto\nroot: /b\n", []string{`x.yaml:3:1: root is written twice, first in line 1`}},
		{"key twice further in", "tftp: {port: 69, max-window: 1, port: 70}\n", []string{`x.yaml:1:33: port is written twice, first in line 1`}},
		{"profile twice", "profiles:\n  p: {files: {bios: a}}\n  p: {files: {bios: b}}\n", []string{`x.yaml:3:3: p is written twice, first in line 2`}},

		{"number", "tftp: {port: http}\n", []string{`x.yaml:1:14: tftp.port: must be a number, not "http" (1 to 65535)`}},
		{"quoted number", "tftp: {port: \"69\"}\n", []string{`x.yaml:1:14: tftp.port: must be a number, not "69" (1 to 65535)`}},
		{"fraction", "tftp: {max-window: 1.5}\n", []string{`x.yaml:1:20: tftp.max-window: must be a number, not "1.5" (1 to 65535)`}},
		{"list for a number", "tftp: {port: [69]}\n", []string{`x.yaml:1:14: tftp.port: must be a number, not a list (1 to 65535)`}},
		{"bounds", "tftp:\n  port: 65536\n  max-window: 0\n  max-blksize: 7\n  max-transfers: -1\n", []string{
			`x.yaml:2:9: tftp.port: 65536 is out of bounds (1 to 65535)`,
			`x.yaml:3:15: tftp.max-window: 0 is out of bounds (1 to 65535)`,
			`x.yaml:4:16: tftp.max-blksize: 7 is out of bounds (8 to 65464)`,
			`x.yaml:5:18: tftp.max-transfers: -1 is out of bounds (1 to 1000000)`,
		}},
		{"beyond 64 bits", "tftp: {port: 99999999999999999999}\n", []string{`x.yaml:1:14: tftp.port: must be a number, not "99999999999999999999" (1 to 65535)`}},
		{"blksize", "tftp: {max-blksize: big}\n", []string{`x.yaml:1:21: tftp.max-blksize: must be a number, not "big" (8 to 65464)`}},
		{"data ports", "tftp: {data-ports: \"9-\"}\n", []string{`x.yaml:1:20: tftp.data-ports: bad port range "9-" (as in "50000-50015")`}},
		{"data ports backwards", "tftp: {data-ports: 20-10}\n", []string{`x.yaml:1:20: tftp.data-ports: 20-10 ends before it starts (as in "50000-50015")`}},
		{"burst", "tftp: {burst: 0}\n", []string{`x.yaml:1:15: tftp.burst: 0 is out of bounds (1 to 65535)`}},
		{"bandwidth", "tftp:\n  bandwidth: 100\n  per-client: {bandwidth: 1kbit}\n  per-network: {bandwidth: 1 MB}\n", []string{
			`x.yaml:2:14: tftp.bandwidth: bad bandwidth "100" (as in 800Mbit or 2.5Gbit, or 0 for no bound)`,
			`x.yaml:3:27: tftp.per-client.bandwidth: 1kbit is out of bounds (100kbit to 1000Gbit, or 0 for no bound)`,
			`x.yaml:4:28: tftp.per-network.bandwidth: bad bandwidth "1 MB" (as in 800Mbit or 2.5Gbit, or 0 for no bound)`,
		}},
		{"limits", "tftp:\n  queue: -1\n  per-client: {transfers: -1, ipv4: 8}\n  per-network: {requests: x, ipv4: 0, ipv6: 129}\n", []string{
			`x.yaml:2:10: tftp.queue: -1 is out of bounds (0 to 65536)`,
			`x.yaml:3:27: tftp.per-client.transfers: -1 is out of bounds (0 to 1000000)`,
			`x.yaml:3:31: unknown key "ipv4" (known here: bandwidth, requests, transfers)`,
			`x.yaml:4:27: tftp.per-network.requests: must be a number, not "x" (0 to 1000000)`,
			`x.yaml:4:36: tftp.per-network.ipv4: 0 is out of bounds (1 to 32)`,
			`x.yaml:4:45: tftp.per-network.ipv6: 129 is out of bounds (1 to 128)`,
		}},
		{"control", "control: {socket: /a, mode: 0777, path: /b}\n", []string{
			`x.yaml:1:29: control.mode: bad mode "0777" (0600, 0660 or 0666)`,
			`x.yaml:1:35: unknown key "path" (known here: group, mode, socket)`,
		}},
		{"control, not for its owner", "control: {mode: 0060}\n", []string{`x.yaml:1:17: control.mode: bad mode "0060" (0600, 0660 or 0666)`}},
		{"api in clear", "api: {listen: \"0.0.0.0:9470\", token-file: t}\n", []string{`x.yaml:1:1: api: on TCP only with TLS: no certificate and key (cert: FILE and key: FILE)`}},
		{"api for anybody", "api: {listen: \"0.0.0.0:9470\", cert: c, key: k}\n", []string{`x.yaml:1:1: api: nothing says who may use it (token-file: FILE, client-ca: FILE, or both)`}},
		{"store", "store: /srv/x.db\n", []string{`x.yaml:1:8: store: must be a mapping or none, not "/srv/x.db" (store: {file: PATH}, store: {etcd: {endpoints: […]}}, or store: none)`}},
		{"two stores", "store:\n  file: /x.db\n  etcd: {endpoints: [http://127.0.0.1:2379]}\n", []string{`x.yaml:3:3: store: a file and an etcd together (one or the other)`}},
		{"etcd", "store:\n  etcd:\n    endpoints: [etcd1, ftp://etcd1, https://u@etcd1]\n    prefix: xdpxe\n    timeout: 5m\n", []string{
			`x.yaml:3:17: store.etcd.endpoints[0]: bad endpoint "etcd1" (the URL of a server, as in https://etcd1.example:2379)`,
			`x.yaml:3:24: store.etcd.endpoints[1]: bad endpoint "ftp://etcd1" (the URL of a server, as in https://etcd1.example:2379)`,
			`x.yaml:3:37: store.etcd.endpoints[2]: bad endpoint "https://u@etcd1" (the URL of a server, as in https://etcd1.example:2379)`,
			`x.yaml:4:13: store.etcd.prefix: bad prefix "xdpxe" (it begins and ends with /, as in /xdpxe/)`,
			`x.yaml:5:14: store.etcd.timeout: 5m is out of bounds (100ms to 1m0s)`,
		}},
		{"half an etcd", "store:\n  etcd:\n    cert: a\n    password-file: p\n", []string{
			`x.yaml:2:3: store.etcd: no endpoints (endpoints: [https://etcd1.example:2379])`,
			`x.yaml:3:11: store.etcd: cert goes together with key`,
			`x.yaml:4:20: store.etcd: password-file goes together with user`,
		}},
		{"server", "server: {name: a b}\n", []string{`x.yaml:1:16: server.name: bad name "a b" (1 to 128 characters without spaces and slashes, another one for each server)`}},
		{"deployments", "deployments: {keep: 1m, limits: {held: 0, machine: 5}}\n", []string{
			`x.yaml:1:21: deployments.keep: 1m is out of bounds (1h0m0s to 87600h0m0s)`,
			`x.yaml:1:40: deployments.limits.held: 0 is out of bounds (1 to 1000000)`,
			`x.yaml:1:43: unknown key "machine" (did you mean machines?)`,
		}},
		{"webhooks", "webhooks:\n  a: {url: cmdb}\n  b: {deadline: 3s}\n  c: {url: unix:/x, on-failure: opened, concurrent: 0}\n", []string{
			`x.yaml:2:12: webhooks.a.url: webhook "cmdb": neither http://host/…, https://host/… nor unix:/path (as in http://cmdb.example/boot or unix:/run/cmdb.sock)`,
			`x.yaml:3:3: webhooks.b: no url to ask (url: http://HOST/… or unix:/PATH)`,
			`x.yaml:4:33: webhooks.c.on-failure: unknown value "opened" (did you mean open?)`,
			`x.yaml:4:53: webhooks.c.concurrent: 0 is out of bounds (1 to 65536)`,
		}},
		{"a webhook that there is not", "webhooks: {cmdb: {url: unix:/x}}\npolicy: {rules: [{webhook: cmbd}]}\n", []string{
			`x.yaml:2:28: policy.rules[0].webhook: unknown webhook "cmbd" (did you mean cmdb?)`}},
		{"a rule without its store", profile + "store: none\npolicy: {rules: [{boot: p}, {boot: p, unknown: hold}, {boot: deployed}]}\n", []string{
			`x.yaml:3:48: policy.rules[1].unknown: hold takes a store, and there is to be none (leave ` + "`store: none`" + ` out)`}},
		{"a default without its store", "store: none\npolicy: {default: deployed}\n", []string{
			`x.yaml:2:19: policy.default: deployed takes a store, and there is to be none (leave ` + "`store: none`" + ` out)`}},
		{"waits", "tftp: {retransmit: {initial: 2, floor: 1us}}\n", []string{
			`x.yaml:1:30: tftp.retransmit.initial: bad duration "2" (with a unit, as in 2s or 500ms)`,
			`x.yaml:1:40: tftp.retransmit.floor: 1us is out of bounds (1ms to 1m0s)`,
		}},
		{"guard", "guard:\n  enabled: maybe\n  per-client: {rate: -1, burst: 0}\n  requests: {rate: 20000000, known: 100, share: 1}\n  memory: 3MiB\n  clients: 10\n", []string{
			`x.yaml:2:12: guard.enabled: must be true or false, not "maybe"`,
			`x.yaml:3:22: guard.per-client.rate: -1 is out of bounds (0 to 10000000)`,
			`x.yaml:3:33: guard.per-client.burst: 0 is out of bounds (1 to 10000000)`,
			`x.yaml:4:20: guard.requests.rate: 20000000 is out of bounds (0 to 10000000)`,
			`x.yaml:4:37: guard.requests.known: 100 is out of bounds (0 to 99)`,
			`x.yaml:4:42: unknown key "share" (known here: burst, known, rate)`,
			`x.yaml:5:11: guard.memory: must be a power of two from 64KiB to 1GiB (64KiB, 128KiB, … 8MiB, … 1GiB)`,
			`x.yaml:6:12: guard.clients: 10 is out of bounds (1024 to 16777216)`,
		}},
		{"guard's memory", "guard: {memory: 8 apples}\n", []string{`x.yaml:1:17: guard.memory: bad size "8 apples" (as in 1000000, 500MB or 2GiB)`}},
		{"a burst that cannot be split", "guard: {tftp: {burst: 30}}\n", []string{
			`x.yaml:1:23: guard.tftp: a burst of 30 cannot be split into 97 % and the rest (a larger burst, or known: 0)`}},
		{"waits in the wrong order", "tftp: {retransmit: {ceiling: 100ms}}\n", []string{`x.yaml:1:30: tftp.retransmit: initial of 1s is more than ceiling, 100ms`}},
		{"waits in the wrong order, by the lower", "tftp: {retransmit: {unanswered: 40s}}\n", []string{`x.yaml:1:33: tftp.retransmit: unanswered of 40s is more than give-up, 30s`}},
		{"data ports over the port", "tftp: {data-ports: 60-70}\n", []string{`x.yaml:1:20: tftp.data-ports: contains the port of requests, 69`}},

		{"enumeration", "datapath: natve\n", []string{`x.yaml:1:11: datapath: unknown value "natve" (did you mean native?)`}},
		{"enumeration, far from all", "deliver: both\n", []string{`x.yaml:1:10: deliver: unknown value "both" (one of auto, steal, tee)`}},
		{"kernel", "kernel: {answers: on, guard: 1}\n", []string{
			`x.yaml:1:19: kernel.answers: unknown value "on" (one of auto, off)`,
			`x.yaml:1:23: unknown key "guard" (known here: answers)`,
		}},
		{"log", "log:\n  level: trace\n  format: text\n", []string{
			`x.yaml:2:10: log.level: unknown value "trace" (one of debug, info, warn, error)`,
			`x.yaml:3:11: log.format: unknown value "text" (one of console, json)`,
		}},
		{"boolean", "zero-copy: yes please\n", []string{`x.yaml:1:12: zero-copy: must be true or false, not "yes please"`}},
		{"duration", "heartbeat: 2\n", []string{`x.yaml:1:12: heartbeat: bad duration "2" (with a unit, as in 2s or 500ms)`}},
		{"duration out of bounds", "heartbeat: 1h\n", []string{`x.yaml:1:12: heartbeat: 1h is out of bounds (100ms to 1m0s)`}},

		{"address", "address: 203.0.113.256\n", []string{`x.yaml:1:10: address: bad address "203.0.113.256" (as in 203.0.113.2)`}},
		{"address 6", "address: 2001:db8::1\n", []string{`x.yaml:1:10: address: 2001:db8::1 is not an IPv4 address (DHCP replies carry an IPv4 address)`}},
		{"address 0", "address: 0.0.0.0\n", []string{`x.yaml:1:10: address: 0.0.0.0 is no address of a host`}},
		{"broadcast", "address: 255.255.255.255\n", []string{`x.yaml:1:10: address: 255.255.255.255 is no address of a host`}},
		{"clients", "clients: [10.0.0.0/8, 10.0.0.0/33, x]\n", []string{
			`x.yaml:1:23: clients[1]: bad network "10.0.0.0/33" (as in 198.51.100.0/24 or 198.51.100.7)`,
			`x.yaml:1:36: clients[2]: bad network "x" (as in 198.51.100.0/24 or 198.51.100.7)`,
		}},
		{"client with host bits", "clients:\n  - 10.0.0.0/8\n  - 192.0.2.1/24\n", []string{`x.yaml:3:5: clients[1]: 192.0.2.1/24 is an address within a network (did you mean 192.0.2.0/24?)`}},
		{"subnet 6", "policy: {rules: [{match: {subnet: [2001:db8::/32]}, boot: ignore}]}\n", []string{`x.yaml:1:36: policy.rules[0].match.subnet[0]: 2001:db8::/32 is not IPv4 (clients are matched by their IPv4 network)`}},
		{"interfaces", "interfaces: [eth0, eth0, 'a b', averylongifname0, auto]\n", []string{
			`x.yaml:1:20: interfaces[1]: eth0 is listed twice`,
			`x.yaml:1:26: interfaces[2]: bad interface name "a b"`,
			`x.yaml:1:33: interfaces[3]: bad interface name "averylongifname0"`,
			`x.yaml:1:51: interfaces[4]: auto stands alone (auto, or a list of interfaces)`,
		}},
		{"metrics", "metrics: {listen: 9469}\n", []string{`x.yaml:1:19: metrics.listen: bad address "9469" (as in 127.0.0.1:9469, or "" for none)`}},
		{"empty path", "root: ''\n", []string{`x.yaml:1:7: root: bad path ""`}},
		{"vendor classes", "vendor-classes: [PXEClient, '']\n", []string{`x.yaml:1:29: vendor-classes[1]: empty vendor class (it would be every DHCP client)`}},

		{"single port and data ports", "tftp: {data-ports: 1000-1001, single-port: true}\n", []string{`x.yaml:1:20: tftp.data-ports: there are none with single-port (one or the other)`}},
		{"single port", "tftp: {single-port: 69}\n", []string{`x.yaml:1:21: tftp.single-port: must be true or false, not "69"`}},
		{"networks", "tftp:\n  networks:\n    - {subnet: 198.51.100.0/33, max-window: 4}\n    - {subnet: 198.51.100.0/24, max-window: 0}\n    - {subnet: 198.51.100.0/24, max-blksize: auto}\n    - {sub: 198.51.100.0/24}\n", []string{
			`x.yaml:3:16: tftp.networks[0].subnet[0]: bad network "198.51.100.0/33" (as in 198.51.100.0/24 or 198.51.100.7)`,
			`x.yaml:4:45: tftp.networks[1].max-window: 0 is out of bounds (1 to 65535)`,
			`x.yaml:5:46: tftp.networks[2].max-blksize: must be a number, not "auto" (8 to 65464)`,
			`x.yaml:6:8: unknown key "sub" (known here: max-blksize, max-window, subnet)`,
		}},
		{"networks that say nothing", "tftp:\n  networks:\n    - {max-window: 4}\n    - {subnet: 198.51.100.0/24}\n    - {subnet: [192.0.2.0/24, 192.0.3.0/24], max-window: 4}\n    - {subnet: 192.0.2.1/24, max-window: 4}\n    - {subnet: 192.0.2.2/24, max-window: 4}\n", []string{
			`x.yaml:3:7: tftp.networks[0]: must name one subnet, not 0 (subnet: 198.51.100.0/24)`,
			`x.yaml:4:7: tftp.networks[1]: bounds nothing (max-blksize, max-window or both)`,
			`x.yaml:5:7: tftp.networks[2]: must name one subnet, not 2 (subnet: 198.51.100.0/24)`,
			`x.yaml:7:16: tftp.networks[4]: 192.0.2.0/24 is that of tftp.networks[3]`,
		}},
		{"uploads", "tftp:\n  uploads: {max-size: 1GiB}\n", []string{`x.yaml:2:3: tftp.uploads: no directory for the files (dir: DIRECTORY)`}},
		{"uploads, values", "tftp:\n  uploads:\n    dir: up\n    max-size: 1GIB\n    max-total: 0\n    max-files: 0\n    overwrite: maybe\n", []string{
			`x.yaml:4:15: tftp.uploads.max-size: bad size "1GIB" (as in 1000000, 500MB or 2GiB)`,
			`x.yaml:5:16: tftp.uploads.max-total: 0 is out of bounds (1 byte to 1024TiB)`,
			`x.yaml:6:16: tftp.uploads.max-files: 0 is out of bounds (1 to 100000)`,
			`x.yaml:7:16: tftp.uploads.overwrite: must be true or false, not "maybe"`,
		}},
		{"list for a mapping", "tftp: [69]\n", []string{`x.yaml:1:7: tftp must be a mapping, not a list (as in {key: value})`}},
		{"text for a mapping", "policy: ignore\n", []string{`x.yaml:1:9: policy must be a mapping, not text (as in {key: value})`}},
		{"list for text", "datapath: [auto]\n", []string{`x.yaml:1:11: datapath must be text, not a list`}},
		{"mapping for text", "root: {a: b}\n", []string{`x.yaml:1:7: root must be text, not a mapping`}},
		{"block mapping for text", "root:\n  a: b\n", []string{`x.yaml:2:3: root must be text, not a mapping`}},
		{"a list", "- a\n- b\n", []string{`x.yaml:1:1: the configuration must be a mapping, not a list (as in {key: value})`}},
		{"a word", "hello\n", []string{`x.yaml:1:1: the configuration must be a mapping, not text (as in {key: value})`}},
		{"empty item", "clients:\n  -\n  - 10.0.0.0/8\n", []string{`x.yaml:2:4: clients[0] is empty`}},
		{"empty file name", "profiles:\n  p:\n    files:\n      bios:\n", []string{
			`x.yaml:2:3: profiles.p: profile "p" has no boot files (it needs files: {ARCHITECTURE: FILE, …})`,
			`x.yaml:4:7: profiles.p.files.bios is empty`,
		}},

		{"unknown profile", profile + "policy:\n  default: q\n  rules:\n    - name: a\n      boot: pp\n", []string{
			`x.yaml:3:12: policy.default: unknown profile "q" (did you mean p?)`,
			`x.yaml:6:13: policy.rules[0].boot: unknown profile "pp" (did you mean p?)`,
		}},
		{"no boot", "policy:\n  rules:\n    - name: a\n", []string{`x.yaml:3:7: policy.rules[0].boot: rule "a" says nothing to boot (boot: PROFILE, boot: deployed or boot: ignore)`}},
		{"rule names", "policy:\n  rules:\n    - {name: a, boot: ignore}\n    - {name: a, boot: ignore}\n", []string{`x.yaml:4:14: policy.rules[1].name: rule "a": rule 1 has the same name`}},
		{"a match of mistakes", `
policy:
  rules:
    - name: a
      match:
        mac: ["52:54:00:12:34:56",
              "52:54:00"]
        arch: [bios, x64]
        uuid: 4c4c4544
        circuit-id: 0x0
      boot: ignore
`, []string{
			`x.yaml:7:15: policy.rules[0].match.mac[1]: bad hardware address "52:54:00": 3 bytes (6, 8 or 16 bytes; a part of one needs a *, as in "52:54:00:12:34:56" or "52:54:00:*")`,
			`x.yaml:8:22: policy.rules[0].match.arch[1]: unknown architecture "x64" (did you mean x64-uefi?)`,
			`x.yaml:9:15: policy.rules[0].match.uuid[0]: bad UUID "4c4c4544" (as in "4c4c4544-0044-4810-8031-b4c04f4a4e31")`,
			`x.yaml:10:21: policy.rules[0].match.circuit-id[0]: bad bytes "0x0": each byte is two hexadecimal digits (as in "0x0004003c*")`,
		}},
		{"architecture of a profile", "profiles:\n  p:\n    files:\n      x64_uefi: a\n      bios: ../a\n", []string{
			`x.yaml:4:17: profiles.p.files.x64_uefi: unknown architecture "x64_uefi" (did you mean x64-uefi?)`,
			`x.yaml:5:13: profiles.p.files.bios: boot file "../a": leads out of root (a path below root)`,
		}},
		{"C14 shim", "profiles: {p: {files: {x64-uefi: " + strings.Repeat("d", 120) + "/shimx64.efi}}}\n", []string{
			`x.yaml:1:34: profiles.p.files.x64-uefi: boot file "` + strings.Repeat("d", 120) + `/shimx64.efi": 132 bytes, shim reads its own name from a field of 127 (a shorter path)`,
		}},
		{"path for HTTP", "profiles: {p: {files: {x64-uefi-http: a.efi}}}\n", []string{
			`x.yaml:1:39: profiles.p.files.x64-uefi-http: boot file "a.efi": x64-uefi-http boots from a URL (as in "http://192.0.2.1/bootx64.efi")`,
		}},

		{"all at once", "datapth: auto\naddress: x\ntftp: {port: 0}\npolicy: {default: p}\n", []string{
			`x.yaml:1:1: unknown key "datapth" (did you mean datapath?)`,
			`x.yaml:2:10: address: bad address "x" (as in 203.0.113.2)`,
			`x.yaml:3:14: tftp.port: 0 is out of bounds (1 to 65535)`,
			`x.yaml:4:19: policy.default: unknown profile "p" (known: ignore, deployed, hold)`,
		}},
		{"place after characters of more than a byte", "profiles: {été: {files: {bios: ../x}}}\n", []string{
			`x.yaml:1:32: profiles.été.files.bios: boot file "../x": leads out of root (a path below root)`,
		}},
		{"place after CRLF", "root: /a\r\naddress: x\r\n", []string{`x.yaml:2:10: address: bad address "x" (as in 203.0.113.2)`}},

		{"syntax", "root: [\n", []string{`x.yaml:1:7: sequence end token ']' not found`}},
		{"tab", "tftp:\n\tport: 69\n", []string{`x.yaml:2:1: found character '	' that cannot start any token`}},
		{"open quote", "a: b\nroot: 'x\n", []string{`x.yaml:2:7: could not find end character of single-quoted text`}},
		{"second document", "root: /a\n---\nroot: /b\n", []string{`x.yaml:3:1: a second YAML document (one file is one configuration)`}},
		{"unknown alias", "root: *a\n", []string{`x.yaml:1:7: no anchor &a`}},
		{"merge key", "tftp: {<<: {port: 1}}\n", []string{`x.yaml:1:8: merge keys are not supported (write the keys out, or use an alias for the whole value)`}},
		{"tags upon tags", "root: " + strings.Repeat("!!str ", 20) + "x\n", []string{`x.yaml:1:7: more than 16 tags and aliases on one value`}},
		{"nesting", strings.Repeat("[", 1000), []string{`x.yaml:1:201: nested too deeply`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Parse("x.yaml", []byte(tc.yaml))
			if len(tc.want) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || c != nil {
				t.Fatalf("no error, want %q", tc.want)
			}
			if got := strings.Split(err.Error(), "\n"); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
			var one *Error
			if !errors.As(err, &one) {
				t.Errorf("%T has no *Error in it", err)
			}
		})
	}
}

// TestDefaults: an empty file is the default configuration, and so is one that
// has only keys without values.
func TestDefaults(t *testing.T) {
	want := Default()
	if want.Policy == nil {
		t.Fatal("the default policy does not compile")
	}
	for _, text := range []string{"", "# nothing\n", "---\n", "interfaces:\nroot:\nclients: []\npolicy:\nprofiles: {}\ntftp: {port: }\nmetrics: ~\nlog:\nzero-copy:\nheartbeat:\nvendor-classes: []\nstore:\nserver: {}\ndeployments: {limits: }\nwebhooks:\napi:\ncontrol:\n"} {
		c, err := Parse("x.yaml", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		got := *c
		got.File, got.places, got.Warnings, got.Policy, got.Spec.Profiles = "", nil, nil, want.Policy, nil
		if !reflect.DeepEqual(&got, want) {
			t.Errorf("%q:\ngot  %+v\nwant %+v", text, &got, want)
		}
	}
}

// TestExample: the file that users start from has every key and parses.
func TestExample(t *testing.T) {
	c, err := Load("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
	text, err := os.ReadFile("example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{}
	for key := range r.schema(Default()) {
		if !strings.Contains(string(text), "\n"+key+":") && !strings.Contains(string(text), "\n# "+key+":") {
			t.Errorf("the example does not show %s", key)
		}
	}
	d := Default()
	if !reflect.DeepEqual(c.TFTP, d.TFTP) || c.Metrics != d.Metrics || c.Log != d.Log || c.Datapath != d.Datapath || c.Deliver != d.Deliver || c.Attach != d.Attach || c.ZeroCopy != d.ZeroCopy || c.Kernel != d.Kernel ||
		c.Heartbeat != d.Heartbeat || c.BPFFS != d.BPFFS || c.Control != d.Control || c.Deployments != d.Deployments || !reflect.DeepEqual(c.VendorClasses, d.VendorClasses) {
		t.Errorf("the example says it shows defaults, but:\nexample %+v\ndefault %+v", c, d)
	}
	if err := c.Complete(); err != nil {
		t.Error(err)
	}
}

// What a program that the operator loads cannot have is a mistake.
func TestExternal(t *testing.T) {
	for text, want := range map[string]string{
		"attach: external\n":                   "",
		"attach: external\nheartbeat: 3s\n":    "x.yaml:2:12: attach: external: the object has a heartbeat of 2s (leave it out)",
		"attach: external\nbpffs: \"\"\n":      "x.yaml:2:8: attach: external: no directory with the program's maps",
		"heartbeat: 3s\nbpffs: \"\"\n":         "",
		"attach: auto\nbpffs: /run/x/../bpf\n": "",
	} {
		c, err := Parse("x.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		c.Interfaces = []string{"eth0"}
		err = c.Complete()
		if (err == nil) != (want == "") || err != nil && !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// TestDesign has the configuration that the design lays down.
func TestDesign(t *testing.T) {
	c, err := Parse("x.yaml", []byte(`interfaces: [eth0]
address: 203.0.113.2
datapath: auto
deliver: auto
clients: [198.51.100.0/24]
root: /srv/boot
policy:
  default: ignore
  rules:
    - name: lab-windows
      match: {mac: ["52:54:00:*"], uuid: [], arch: [x64-uefi], subnet: [198.51.100.0/24], vendor-class: [], user-class: [], circuit-id: [], remote-id: []}
      boot: winpe
profiles:
  winpe: {files: {bios: boot/x64/wdsnbp.com, x64-uefi: boot/x64/bootmgfw.efi}}
  linux: {files: {bios: undionly.kpxe, x64-uefi: snponly.efi, arm64-uefi: snponly-arm64.efi, ipxe: boot.ipxe}}
tftp: {port: 69, max-window: 64, max-blksize: auto, max-transfers: 10000, data-ports: ""}
metrics: {listen: 127.0.0.1:9469}
log: {level: info, format: console}
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Policy.Files()) != 6 || c.Metrics.Listen != "127.0.0.1:9469" || !reflect.DeepEqual(c.TFTP, Default().TFTP) {
		t.Errorf("%+v", c)
	}
}

// TestValues has a value other than the default for every key.
func TestValues(t *testing.T) {
	c, err := Parse("/etc/xdpxe/x.yaml", []byte(`
interfaces: [eth0, bond0.7]
address: 203.0.113.2
datapath: ringbuf
deliver: tee
zero-copy: true
kernel: {answers: off}
heartbeat: 1500ms
bpffs: /run/bpf/
control: {socket: /tmp/c.sock, mode: 0600, group: pxe}
api: {listen: "192.0.2.1:9470", cert: api.crt, key: api.key, client-ca: ca.crt, token-file: /srv/token}
store: {etcd: {endpoints: [https://192.0.2.1:2379, https://192.0.2.2:2379], prefix: /lab/, ca: ca.crt, cert: e.crt, key: e.key, user: pxe, password-file: pw, timeout: 1s}}
server: {name: boot7}
deployments: {keep: 24h, limits: {deployments: 1, machines: 2, held: 3, groups: 4, ignored: 5, new-machines: 6}}
webhooks:
  cmdb: {url: "https://cmdb.example/boot", deadline: 1s, lifetime: 2s, retry: 3s, on-failure: open, concurrent: 4}
  other: {url: unix:/run/x.sock}
root: ../boot
clients: [198.51.100.0/24, 192.0.2.9, 2001:db8::/32]
vendor-classes: [HW-Client]
policy:
  default: linux
  rules:
    - name: lab-windows
      match: {mac: ["52:54:00:*", 525400123456, 00:11:22:33:44:55, 10:22:33:44:55:66], uuid: [], arch: [x64-uefi], subnet: [198.51.100.0/24], vendor-class: [], user-class: [lab], circuit-id: [0x0102], remote-id: []}
      boot: winpe
    - match:
        mac:
          - 00:11:22:33:44:66
          - 52:54:00:00:00:01
      boot: ignore
    - {match: {mac: 00:11:22:*}, boot: ignore}
profiles:
  winpe: &w {files: {bios: boot\x64\wdsnbp.com, x64-uefi: boot/x64/bootmgfw.efi}}
  linux: {files: {bios: 7, "ipxe": "http://192.0.2.1/boot.ipxe"}}
  again: *w
tftp: {port: 6969, max-window: 8, max-blksize: 1400, max-transfers: 5, gso: false, data-ports: 50000-50015, state: /srv/state, netascii: true, strict-files: true,
  networks: [{subnet: 198.51.100.7/24, max-blksize: 1024, max-window: 4}, {subnet: 2001:db8::/32, max-window: 2}, {subnet: 192.0.2.9, max-blksize: 512}],
  uploads: {dir: in, max-size: 10MiB, max-files: 3, max-total: 2GB, overwrite: true},
  queue: 7, burst: 4, bandwidth: 2.5Gbit, per-client: {transfers: 2, requests: 3, bandwidth: 800 Mbit},
  per-network: {transfers: 4, requests: 5, bandwidth: 100kbit, ipv4: 16, ipv6: 48},
  retransmit: {initial: 2s, floor: 1ms, ceiling: 3s, give-up: 20s, unanswered: 10s}}
guard: {enabled: false, per-client: {rate: 1, burst: 2}, per-tftp-client: {rate: 3, burst: 4}, requests: {rate: 5, burst: 600, known: 7},
  broadcasts: {rate: 8, burst: 900, known: 10}, tftp: {rate: 0, burst: 11, known: 0}, memory: 1MiB, clients: 2048}
metrics: {listen: ""}
log: {level: debug, format: json}
`))
	if err != nil {
		t.Fatal(err)
	}
	prefix := netip.MustParsePrefix
	want := &Config{
		File: "/etc/xdpxe/x.yaml", Interfaces: []string{"eth0", "bond0.7"}, Address: netip.MustParseAddr("203.0.113.2"),
		Datapath: DatapathRingbuf, Deliver: DeliverTee, Attach: AttachAuto, ZeroCopy: true, Kernel: Kernel{Answers: KernelOff}, Heartbeat: 1500 * time.Millisecond, BPFFS: "/run/bpf", Control: Control{"/tmp/c.sock", 0o600, "pxe"}, Root: "/etc/boot",
		API: API{"192.0.2.1:9470", "/etc/xdpxe/api.crt", "/etc/xdpxe/api.key", "/etc/xdpxe/ca.crt", "/srv/token"},
		Store: &Store{Etcd: &Etcd{Endpoints: []string{"https://192.0.2.1:2379", "https://192.0.2.2:2379"}, Prefix: "/lab/",
			CA: "/etc/xdpxe/ca.crt", Cert: "/etc/xdpxe/e.crt", Key: "/etc/xdpxe/e.key", User: "pxe", PasswordFile: "/etc/xdpxe/pw", Timeout: time.Second}},
		Server: "boot7", Deployments: Deployments{24 * time.Hour, DeployLimits{1, 2, 3, 4, 5, 6}},
		Webhooks: map[string]Webhook{
			"cmdb":  {"https://cmdb.example/boot", time.Second, 2 * time.Second, 3 * time.Second, FailOpen, 4},
			"other": {"unix:/run/x.sock", 3 * time.Second, time.Minute, 5 * time.Second, FailClosed, 1024},
		},
		Clients: []netip.Prefix{prefix("198.51.100.0/24"), prefix("192.0.2.9/32"), prefix("2001:db8::/32")}, VendorClasses: []string{"HW-Client"},
		TFTP: TFTP{
			Port: 6969, MaxWindow: 8, MaxBlksize: 1400, MaxTransfers: 5, DataPorts: [2]uint16{50000, 50015}, State: "/srv/state", Netascii: true, StrictFiles: true,
			Networks: []TFTPNetwork{{prefix("198.51.100.0/24"), 1024, 4}, {prefix("2001:db8::/32"), 0, 2}, {prefix("192.0.2.9/32"), 512, 0}},
			Uploads:  &Uploads{Dir: "/etc/xdpxe/in", MaxSize: 10 << 20, MaxFiles: 3, MaxTotal: 2e9, Overwrite: true},
			Queue:    7, Burst: 4, Bandwidth: 312_500_000, PerClient: TFTPLimits{2, 3, 100_000_000},
			PerNetwork: TFTPLimits{4, 5, 12_500}, NetworkBits: [2]int{16, 48}, Retransmit: TFTPRetransmit{2 * time.Second, time.Millisecond, 3 * time.Second, 20 * time.Second, 10 * time.Second},
		}, Log: Log{"debug", "json"},
		Guard: Guard{
			PerClient: GuardRate{1, 2}, PerTFTPClient: GuardRate{3, 4}, Requests: GuardBudget{GuardRate{5, 600}, 7},
			Broadcasts: GuardBudget{GuardRate{8, 900}, 10}, TFTP: GuardBudget{GuardRate{0, 11}, 0}, Memory: 1 << 20, Clients: 2048,
		},
	}
	want.Spec = policy.Spec{
		Default: "linux",
		Rules: []policy.Rule{
			{Name: "lab-windows", Boot: "winpe", Match: policy.Match{
				MAC:  []string{"52:54:00:*", "525400123456", "00:11:22:33:44:55", "10:22:33:44:55:66"},
				Arch: []string{"x64-uefi"}, Subnet: []netip.Prefix{prefix("198.51.100.0/24")}, UserClass: []string{"lab"}, CircuitID: []string{"0x0102"},
			}},
			{Boot: "ignore", Match: policy.Match{MAC: []string{"00:11:22:33:44:66", "52:54:00:00:00:01"}}},
			{Boot: "ignore", Match: policy.Match{MAC: []string{"00:11:22:*"}}},
		},
		Profiles: map[string]policy.Profile{
			"winpe": {Files: map[string]string{"bios": `boot\x64\wdsnbp.com`, "x64-uefi": "boot/x64/bootmgfw.efi"}},
			"linux": {Files: map[string]string{"bios": "7", "ipxe": "http://192.0.2.1/boot.ipxe"}},
			"again": {Files: map[string]string{"bios": `boot\x64\wdsnbp.com`, "x64-uefi": "boot/x64/bootmgfw.efi"}},
		},
		Clients: want.Clients, VendorClasses: want.VendorClasses, Webhooks: []string{"cmdb", "other"},
	}
	if c.Policy == nil || len(c.Policy.Files()) != 6 {
		t.Fatalf("policy %+v", c.Policy)
	}
	c.Policy, c.places, c.Warnings = nil, nil, nil
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got\n%+v\nwant\n%+v", c, want)
	}
}

func TestAuto(t *testing.T) {
	for _, text := range []string{"interfaces: auto\n", "interfaces: [auto]\n", "interfaces:\n  - auto\n"} {
		c, err := Parse("x.yaml", []byte(text))
		if err != nil || !c.Auto || len(c.Interfaces) != 0 {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
	if c, err := Parse("x.yaml", []byte("interfaces: eth0\ntftp: {max-blksize: auto}\n")); err != nil || c.Auto || !reflect.DeepEqual(c.Interfaces, []string{"eth0"}) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) || errors.As(err, new(Errors)) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Load(dir); err == nil || errors.As(err, new(Errors)) {
		t.Errorf("a directory: %v", err)
	}
	big := filepath.Join(dir, "big.yaml")
	if err := os.WriteFile(big, []byte(strings.Repeat("#", maxFileSize+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(big); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("an endless file: %v", err)
	}
}

// A store is opened by who says so; the file has its default place.
func TestStore(t *testing.T) {
	for text, want := range map[string]*Store{
		"":                                      nil,
		"store: none\n":                         nil,
		"policy: {default: hold}\n":             {File: DefaultStoreFile},
		"policy: {rules: [{boot: deployed}]}\n": {File: DefaultStoreFile},
		"policy: {rules: [{boot: ignore}]}\nstore: {file: }\n": {File: DefaultStoreFile},
		"store: {}\n":              {File: DefaultStoreFile},
		"store: {file: /srv/x/}\n": {File: "/srv/x"},
	} {
		c, err := Parse("x.yaml", []byte(text))
		if err != nil || !reflect.DeepEqual(c.Store, want) {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}
