// Package content finds and opens boot files under one root directory.
//
// Clients name files as their firmware and their vendors like it: with
// backslashes, doubled slashes, in any letter case, with rubbish at the end.
// Lookup takes all of that, prefers the exact name, and never leaves the root:
// os.Root resolves every path, symbolic links included. Directories that had to
// be read for a name are remembered until they change (listings.go).
//
// An open File is shared by all who read the same bytes: one descriptor and one
// read-only mapping for each identity (device, inode, size, modification time),
// counted by references. A file replaced by rename is another identity, so
// running readers keep the old one. A file truncated or overwritten in place is
// what Changed is for. The kernel stamps a file before it writes to it, but with
// a granularity of one tick (4 ms at worst) before Linux 6.13, and stores through
// a writer's own mapping are stamped only when a clean page becomes dirty.
//
// The mapping is for the kernel's eyes only (iovecs of sendmsg, which fails with
// EFAULT beyond a truncated end). To read it in Go is to die of SIGBUS on the
// day an operator truncates a boot image; ReadAt is there instead. Nor must a
// thread that may not wait for the disk hand over what is not in the page cache:
// Cached and Load are for another one to call beforehand (resident.go).
//
// What is made for one client, and is no file, is a File too (Memory).
package content
