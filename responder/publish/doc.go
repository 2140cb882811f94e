// Package publish compiles the decisions of tier 1 into reply templates for
// the kernel, which then answers requests like those by itself (tier 0).
//
// # What a template holds for
//
// A [Template] is made of a request that tier 1 has answered. Another request
// fits it if all bytes of its DHCP message are the same but for those that
// nothing reads and the reply at most repeats: transaction id, seconds, hardware
// address, the 16 bytes of a UUID, the client identifier, the values of
// circuit-id and remote-id, and on port 4011 the client's address. Where the
// policy's decision does rest on one of these ([policy.Dependence]), it counts:
// circuit-id and remote-id byte by byte, an identity in that the template is for
// one machine, and a place on the network likewise. All else is fixed, also what
// is not known to matter. So a template cannot hold for a request that tier 1
// would answer otherwise, unless the list above is wrong. Compile tries that with
// random requests each time, and makes no template where tier 1 differs.
//
// Only what the policy decided is published, answers and silences. What depends
// on more than the request (a relay's facts remembered for 4011), and requests of which
// something is noted (dhcp.Note), which is counted and looked into, always go up.
//
// # When a template holds
//
// Each template is of a generation, and only those of the kernel's current one
// hold. A worker reads the generation before it reads the policy and the links
// that it answers by. A change of either swaps them first and then begins another
// generation, which is one store. So what was decided by the old ones is of an old
// generation, whenever it is published.
//
// A daemon that succeeds another finds that one's templates in the kernel, where
// they answered meanwhile ([Publisher.Succeed]). It makes a request for each,
// decides on that by its own policy, and keeps the template if it would be the
// same. So a restart leaves no moment without it.
//
// Workers hand over copies of requests through a bounded queue, so many a second
// and no more; a [Publisher] compiles and publishes them on a goroutine of its own.
package publish
