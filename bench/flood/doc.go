// Package flood sends what a server must withstand: more than any rack asks, of
// clients that do not exist; and asks, beside it, as honest clients do.
//
// A [Kind] of flood is one frame, sent by the kernel (bench/xdp), that names
// another client each time. Addresses are any of [Sources], as those of a flood
// from everywhere are: a server needs a route for them, or answers nobody.
//
// [Honest] clients ask as firmware does, once, and a second time those that had
// no answer, and count how many had one by then.
package flood
