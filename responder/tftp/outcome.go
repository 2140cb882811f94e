package tftp

// Outcome says what became of one request. Every request ends in exactly one of
// them; the name is the metric label and the word in logs. Datagrams that only
// repeat a request are counted apart.
type Outcome uint8

const (
	running Outcome = iota // no end yet

	// Complete: every block was sent and the last one acknowledged, or (Stats.Unconfirmed) not refused.
	Complete
	// Probe: the client asked for the size only: it aborted when it had the OACK.
	Probe

	// The transfer ended early.
	Aborted     // an ERROR from the client
	TimedOut    // the client fell silent
	Unreachable // ICMP says that nobody is there
	Superseded  // the client's port asked for something else
	FileChanged // the file was written to or truncated meanwhile
	ReadFailed  // the disk could not be read, or not in time
	SendFailed  // the kernel refuses to send to the client
	Stopped     // the server stopped
	Incomplete  // an upload was shorter or longer than announced
	Withheld    // the gate did not let the last block go

	// The request was answered with an ERROR.
	NotFound     // no such file
	IsDirectory  // the name is a directory's
	BadName      // empty, too long, control characters
	OutsideRoot  // the name or a link in it leads out of the root
	NoPermission // the server may not read the file
	NotRegular   // a device, a socket, a loop of links
	WriteRefused // a write request, and uploads are off
	Exists       // an upload has the name of a file that is there, or comes in
	OverLimit    // an upload is too large or one too many, or the disk is full
	BadMode      // neither octet nor anything else we serve
	Malformed    // not a request as RFC 1350 has it
	Unreadable   // the system cannot open or map the file
	Refused      // the gate does not let this client have it
	BadTemplate  // the file is made from a template, which is wrong

	// The request got silence.
	NotAllowed  // the source is outside of `clients:`
	NotUnicast  // sent to a broadcast or multicast address
	NotRequest  // some other packet on the request port
	Full        // as many transfers as configured, and no room to wait or too long a wait
	ClientFull  // the same for the client's address
	NetworkFull // the same for its network
	ClientRate  // too many requests from the address
	NetworkRate // too many requests from its network
	Busy        // too many lookups wait, or the system is out of descriptors

	NumOutcomes
)

var outcomeNames = [NumOutcomes]string{
	running: "running", Complete: "complete", Probe: "probe",
	Aborted: "aborted", TimedOut: "timed_out", Unreachable: "unreachable", Superseded: "superseded",
	FileChanged: "file_changed", ReadFailed: "read_failed", SendFailed: "send_failed", Stopped: "stopped", Incomplete: "incomplete", Withheld: "withheld",
	Exists: "exists", OverLimit: "over_limit",
	NotFound: "not_found", IsDirectory: "is_directory", BadName: "bad_name", OutsideRoot: "outside_root", NoPermission: "no_permission", NotRegular: "not_regular", WriteRefused: "write_refused",
	BadMode: "bad_mode", Malformed: "malformed", Unreadable: "unreadable", Refused: "refused", BadTemplate: "bad_template",
	NotAllowed: "client_not_allowed", NotUnicast: "not_unicast", NotRequest: "not_request", Full: "full", ClientFull: "client_full", NetworkFull: "network_full",
	ClientRate: "client_rate", NetworkRate: "network_rate", Busy: "busy",
}

// String returns the metric label.
func (o Outcome) String() string {
	if o < NumOutcomes {
		return outcomeNames[o]
	}
	return "invalid"
}

// Kind sorts outcomes: finished, failed (a transfer that ended early), refused
// (answered with an ERROR) or silent (not answered at all).
func (o Outcome) Kind() string {
	switch {
	case o <= Probe:
		return "finished"
	case o < NotFound:
		return "failed"
	case !o.Silent():
		return "refused"
	}
	return "silent"
}

// Silent says that the request got no answer at all.
func (o Outcome) Silent() bool { return o >= NotAllowed && o < NumOutcomes }
