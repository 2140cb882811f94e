// Package decide decides who is answered with all that counts: the rules, the
// ignore list, what is deployed, who is known, webhooks, delays, and which server
// of a fleet it is up to.
//
// A Decider is made for each policy.Snapshot and takes it from the rule that holds
// for a machine to the answer:
//
//   - A machine on the ignore list gets none, whatever the rules say.
//   - A rule with a webhook asks it. What it says holds; with "next" the rules
//     behind go on.
//   - Where the rule goes by deployments or makes a difference between known
//     machines and others, the catalogue is asked (deploy.Snapshot.Find). An
//     approval's profile comes before the rule's.
//   - A DISCOVER that would be answered may be too early for the rule's delay.
//   - Last, in a fleet, it may be another member's to answer. Requests on port 4011
//     are nobody's but who is asked.
//
// Nothing is done by deciding but asking webhooks, and counting the DISCOVERs
// of clients that are to wait; for a policy.Machine that is a Trial not even that.
// What follows from answers and requests is the Recorder's: an Observer, so that
// it hears of answers that the kernel gives, too.
//
// # What the kernel may answer
//
// An answer is Cacheable, so that package publish makes a template of it, if it is
// the same until something changes that is told of: the policy, the catalogue
// (deploy.Config.Changed), the members. Then all templates are void
// (responder.Server.VoidTemplates). What the clock, a webhook or the number of
// tries decides is not Cacheable. Templates are for one machine each where what is
// known of it, or its owner, counts (Depends).
package decide
