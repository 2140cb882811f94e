package metrics

import "github.com/xdpxe/xdpxe/responder/control"

var (
	storeUp       = desc("store_available", "Whether the store answers; while it does not, deployments for once are held back.")
	storeLoaded   = desc("store_loaded", "Whether the store has been read; before that, rules with deployments answer nobody.")
	storeSince    = desc("store_since_timestamp_seconds", "Since when the store answers, or does not.")
	storeProblems = desc("store_unreadable_records", "Records in the store that cannot be read and so are not there.")

	deployments = desc("deployments", "Deployments by state; a group's is that of the machine that needs most attention.", "state")
	machines    = desc("machines_recorded", "Machines on record.")
	held        = desc("machines_held", "Machines on record that wait for approval.")
	groups      = desc("machine_groups", "Groups of machines.")
	ignored     = desc("ignored_patterns", "Patterns of the ignore list.")
	eventsLost  = desc("deployment_events_lost_total", "Events of deployments that were not written, as there were too many at once.")
	seenLost    = desc("machines_unrecorded_total", "Machines that were not recorded, as there were too many.")
	seenWait    = desc("machines_unrecorded_waiting", "Machines that wait to be recorded.")

	bindings    = desc("bindings", "Machines that are known to the file server.", "address")
	contested   = desc("bindings_contested_total", "Claims of an address that another machine had claimed just before.")
	pushed      = desc("bindings_pushed_total", "Machines that are no longer known to the file server, to make room.")
	timelines   = desc("timelines", "Machines with a timeline.")
	forgotten   = desc("timelines_forgotten_total", "Timelines that made room for others.")
	untoldEvent = desc("timeline_events_dropped_total", "Events that who follows them had no room for.")

	fleetMember  = desc("fleet_member", "Whether the other members know of this server.")
	fleetMembers = desc("fleet_members", "Members of the fleet that this server knows, itself included.", "state")

	hookAsked   = desc("webhook_questions_total", "Questions to a webhook by how they ended: answered, failed, or busy, which were not put.", "webhook", "result")
	hookWaiting = desc("webhook_questions_waiting", "Questions that wait to be put to a webhook.", "webhook")
	hookKept    = desc("webhook_answers_kept", "Questions and answers of a webhook that are remembered.", "webhook")
	hookDropped = desc("webhook_answers_dropped_total", "Answers of a webhook that were forgotten before their time, as there were too many.", "webhook")
)

// kept are the metrics of what the daemon knows beyond its configuration; there
// are none of what it does not use.
func (e emitter) kept(st *control.Status) {
	if s := st.Store; s != nil {
		e.gauge(storeUp, truth(s.Available))
		e.gauge(storeLoaded, truth(s.Loaded))
		e.gauge(storeSince, float64(s.Since.UnixMilli())/1000)
		e.gauge(storeProblems, float64(len(s.Problems)))
	}
	if d := st.Deployments; d != nil {
		for _, n := range d.States {
			e.gauge(deployments, float64(n.Count), n.State)
		}
		e.gauge(machines, float64(d.Machines))
		e.gauge(held, float64(d.Held))
		e.gauge(groups, float64(d.Groups))
		e.gauge(ignored, float64(d.Ignored))
		e.counter(eventsLost, d.EventsLost)
		e.counter(seenLost, d.SeenLost)
		e.gauge(seenWait, float64(d.SeenWait))
	}
	if m := st.Memory; m != nil {
		e.gauge(bindings, float64(m.Addresses), "known")
		e.gauge(bindings, float64(m.Bindings-m.Addresses), "unknown")
		e.counter(contested, m.Contested)
		e.counter(pushed, m.Pushed)
		e.gauge(timelines, float64(m.Timelines))
		e.counter(forgotten, m.Forgotten)
		e.counter(untoldEvent, m.EventsDropped)
	}
	if f := st.Fleet; f != nil {
		byState := map[string]int{"active": 0, "draining": 0}
		for _, m := range f.Members {
			if m.Draining {
				byState["draining"]++
			} else {
				byState["active"]++
			}
		}
		e.gauge(fleetMember, truth(f.Member))
		for state, n := range byState {
			e.gauge(fleetMembers, float64(n), state)
		}
	}
	for i := range st.Webhooks {
		h := &st.Webhooks[i]
		e.counter(hookAsked, h.Answers, h.Name, "answered")
		e.counter(hookAsked, h.Failures, h.Name, "failed")
		e.counter(hookAsked, h.Busy, h.Name, "busy")
		e.gauge(hookWaiting, float64(h.Waiting), h.Name)
		e.gauge(hookKept, float64(h.Kept), h.Name)
		e.counter(hookDropped, h.Dropped, h.Name)
	}
}
