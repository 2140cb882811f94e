// Package dhcp turns PXE requests into answers: ProxyDHCP OFFERs on UDP 67 and
// boot server ACKs on UDP 4011 (PXE 2.1 §2.2), or silence with a reason.
//
// It is pure: no I/O, no clock of its own, and no allocation per request. A
// Responder is what all workers of a configuration share; each worker has a
// Worker of its own, whose Handle answers one request.
//
// # How requests are read
//
// A View indexes the options of a message in one walk that is bounded by the
// message's length: pads are skipped, END ends an area. Where a choice exists:
//
//   - A missing END is tolerated, as old ROMs leave it out, and reported
//     (View.NoEnd, NoteNoEnd). An option that runs over the end of its area is
//     not: the whole message is Truncated.
//   - Option overload (52, RFC 2132 §9.3) is honoured in requests: the options,
//     then file, then sname are read. An overload value other than 1 to 3 is
//     no overload. Replies never use it (iPXE reads options as a file name).
//   - Options that occur more than once are one long option (RFC 3396 §7). So a
//     repeated message type or server identifier has a wrong length and is
//     refused, as edk2 does.
//   - Relay agent information (82) with a sub-option that runs over its end
//     is echoed verbatim, and none of its sub-options is believed.
//
// # What is never answered
//
// Lease requests, other servers' requests and replies, BOOTP, and discovery of
// items of a boot menu (option 43.71): menus are not served. Nothing is ever
// sent to an address that is not one machine's, except the broadcast that
// answers a DISCOVER on the client's own network.
package dhcp
