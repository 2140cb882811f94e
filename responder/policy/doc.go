// Package policy decides which machines boot from us and with which file.
//
// A Spec (rules and profiles as a user writes them) is compiled once into a
// Snapshot. A Snapshot never changes, may be used by any number of goroutines
// and decides without allocating, without I/O and without a clock. A reload
// compiles another Snapshot and swaps it in.
//
// # Rules
//
// Rules are tried in order and the first one whose fields all hold decides.
// Within a field the alternatives are tried in order; an absent or empty field
// holds for every machine. Patterns know `*` (any run), `?` (any one) and `\`
// (takes the meaning from the character after it). If no rule holds, the
// default does.
//
//   - mac: hexadecimal digits with the separators `-`, `:`, `.` or none, in any
//     case; `?` is one digit, `*` any number of digits. It is compared with
//     chaddr[:hlen], so it can also be the 8 bytes of InfiniBand or the 16-byte
//     GUID that edk2 sends as a hardware address.
//   - uuid: option 97, or without it a 16-byte hardware address. A UUID has two
//     spellings: SMBIOS keeps its first three fields in little-endian order, and
//     firmware, dmidecode and operating systems disagree about swapping them. A
//     rule holds for both.
//   - arch: the architectures that the machine offers (option 93 may list
//     several) and that suit its vendor class: HTTPClient takes the http ones,
//     PXEClient the others. The rule also narrows the choice of the file to the
//     architectures it names. x64-uefi stands for ebc too, see Arch.
//   - subnet: the network the client is on, see Machine.Subnet.
//   - vendor-class, user-class: patterns, in exact case.
//   - circuit-id, remote-id: what a relay says of the client's port (option 82),
//     patterns on its bytes; "0x" starts a hexadecimal form of them.
//
// # Profiles
//
// A profile has a file for each architecture that it serves and one for iPXE.
// iPXE only ever gets the latter, whatever its architecture: the iPXE binary
// once more would be a loop. A machine for which the profile has no file gets
// no answer. See Arch for the forms of files.
//
// # What a Snapshot does not know
//
// A rule can go by what is deployed to a machine, make a difference between
// machines that somebody has named and others, ask a webhook, and wait before it
// answers. A Snapshot says what such a rule is to do (Action), and which file a
// profile has for a machine; package decide, which knows the rest, makes the
// decision of it. Decide is what comes of the rules alone.
//
// # Caching
//
// A decision by the rules alone is a function of the Machine, so it is Cacheable
// with TTL 0: until the next Snapshot.
package policy
