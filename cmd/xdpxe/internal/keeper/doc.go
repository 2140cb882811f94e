// Package keeper runs a program, starts it again when it ends, and keeps its
// sockets open meanwhile. To the program it is a service manager with a file
// descriptor store, as systemd is (sd_notify(3), sd_listen_fds(3)): for
// containers, for other init systems, for tests.
//
// The program gets NOTIFY_SOCKET, an abstract address, where it sends READY=1,
// STATUS=…, and sockets with FDSTORE=1; and, as LISTEN_FDS, what its predecessor
// stored. Only messages of the program itself count (the kernel says who sent
// them). What is news for the keeper's own service manager, if it has one, is passed on.
//
// # Decisions
//
//   - The program is started again however it ended: at once if it had served for
//     a while, else with growing pauses. Only one that fails before it was ever
//     ready ends the keeper: that is a mistake in its command line or configuration.
//   - SIGTERM and SIGINT end both. SIGHUP is passed on. SIGUSR2 is, too: it
//     asks the program to end for a successor, which is the one that is in its place
//     on disk then.
//   - LISTEN_PID must be the program's own number, which is known after the fork
//     only: between fork and program, our own executable runs once more (Exec).
//   - The program is told to end when the keeper dies: without it nobody would have
//     its sockets.
package keeper
