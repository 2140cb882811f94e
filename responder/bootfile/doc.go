// Package bootfile says which client may fetch which boot file, makes scripts
// from templates, and lets deployments be used up by what is fetched. It is the
// gate (tftp.Gate) of a server that knows who its clients are.
//
// # Who asks
//
// A TFTP client shows its address and nothing else. The table of bindings knows
// which machine is behind it, and what that was answered with: a profile, and
// perhaps a deployment. An address that two machines claim is nobody's.
//
// # What it gets
//
// NAME.tmpl below the root is a template (package script), served filled in under
// NAME, for each client anew; under its own name it is not found. Who asks must be
// known. The script that sends iPXE on to the next boot entry is built in.
//
// With strict-files, a client gets what its profile allows: the boot files, and
// what the profile lists besides. It is the deployment's profile where there is
// one. A client that is nobody gets nothing, and nobody writes.
//
// Without strict-files, all below the root is everybody's, but for what would be
// used up by being fetched: the files that deployments for once end with are not
// given to those who cannot be told apart. Whose run would it be?
//
// # Used up
//
// A machine that was answered with a deployment for once has the last block of
// the file that it ends with held back until deploy.Catalogue.Act has made it
// durable that it is used up. The claim names this server and the transfer, by
// tftp.Opening.ID, so a transfer that outlives its process keeps its right. Until
// the catalogue has been read, machines that were answered with a deployment get
// silence.
//
// The boot program is whatever boot file of the profile is fetched first to its
// end: where the firmware loads iPXE and iPXE a script, the program that the
// firmware loads.
package bootfile
