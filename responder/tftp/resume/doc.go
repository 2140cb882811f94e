// Package resume keeps what is needed to go on with TFTP transfers in a file
// that is mapped into memory (package mapfile): the next process of the server
// finds it there, however the last one ended.
//
// # Layout
//
// The file has a header, a table of the files that are being served, and a
// table of records, one for each transfer; all of fixed size, in the machine's
// own byte order. A record has the identity of the client and of the socket, the
// grant, and the first block that is not acknowledged. All else, round trips for
// instance, is found out again. Only that block changes in a record's life:
// an acknowledgement costs one store.
//
// The first word of a record, and of a file's entry, is a checksum over the rest,
// but for the block. It is stored last and cleared first, so it says both whether
// there is something and whether it is whole.
//
// A process reads the last one's file, then makes one of its own with the records
// that it takes over and renames it over the old one: it may be killed at any moment.
// Whoever changes the layout changes Version.
package resume
