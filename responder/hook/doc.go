// Package hook asks an outside program what a machine boots: a webhook, JSON
// over HTTP or a unix socket.
//
// # Asking
//
// Ask is called on the packet path and never waits. What a client asks is
// looked up among the answers that are known; if there is none, the question is
// put to the program by other goroutines, once however often the client asks
// meanwhile, and the client gets no answer yet: it asks again within seconds. Many
// questions are out at a time (Config.Concurrent), so a slow one delays its own
// client only. Questions beyond Config.Waiting are not put; their clients ask again.
//
// An answer is kept for a lifetime that the program may name. A failure, or no
// answer by the deadline, is an answer too: Failed, for as long as Config.Retry; what
// it means, silence or the rule's own profile, is the caller's choice.
// The deadline holds by the clock of Ask, whatever the connection does.
//
// # The protocol
//
// A question is a POST of
//
//	{"mac":"52:54:00:12:34:56","uuid":"4c4c4544-…","architectures":["x64-uefi"],"http":false,"ipxe":false,
//	 "vendor_class":"PXEClient:Arch:00007:UNDI:003016","user_class":"","subnet":"198.51.100.7","relay":"198.51.100.1",
//	 "circuit_id":"0x0004","remote_id":"","server":"boot1"}
//
// Absent facts are left out; a class or id that is not text is its digits after
// 0x. The answer is status 200 with
//
//	{"boot":"linux","ttl":300,"variables":{"disk":"sda"},"reason":"ticket 17"}
//
// of which boot is needed: the name of a profile, "ignore", "local", or "next": no
// opinion, the rules go on. ttl is in seconds. Anything else is a failure;
// redirects are not followed.
package hook
