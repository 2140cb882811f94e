// Package compare has several servers do the same work, in turn, and says how
// many times better one of them is.
//
// A Work is a load: a command line of xdpxe-bench. A Rig lays two network
// namespaces with one cable between them, starts a peer in the one and the load
// in the other, and takes them away again: every measurement has a server that
// has just been started. A Comparison measures each work on each peer once a
// round and turns the order round by round, so that what changes on the machine
// meanwhile (clock, neighbours) hits all of them. Of the rounds it makes medians
// with lowest and highest value, and ratios: those are made round by round, of
// measurements that are minutes apart at most, and have a spread of their own.
//
// A measurement that fails does not end the comparison. It is a failure in the
// peer's row, and Comparison.Run returns it as an error beside the results.
package compare
