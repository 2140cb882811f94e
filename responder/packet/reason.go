package packet

// Reason says what became of one request. Every request ends in exactly one
// of them; its name is the metric label, the word in logs and in explain.
// The XDP program has an enum of its own (bpf/abi.h) for what it decides.
type Reason uint8

const (
	// Answered: a reply was built.
	Answered Reason = iota

	// The datagram itself.
	BadFrame    // Ethernet, IP or UDP header not parseable
	Truncated   // shorter than a DHCP header, or an option runs over the end
	BadMagic    // no DHCP magic cookie
	NotRequest  // op is not BOOTREQUEST: a server's own reply
	BadHardware // hlen > 16, or htype 0 with an address
	BadRelay    // giaddr is no address a reply can be sent to
	NoSource    // 4011 from 0.0.0.0: nowhere to answer to

	// The message.
	NotPXE       // vendor class is none of ours
	BOOTP        // no message type
	WrongType    // a message type that this port does not answer
	LeaseRequest // DHCPREQUEST on 67: the DHCP server's business
	OtherServer  // option 54 names another server
	HTTPOn4011   // HTTPClient has no boot server step
	BootItem     // asks for an item of a boot menu (43.71): menus are not served

	// The policy.
	ClientNotAllowed // outside of `clients:`
	NoAddress        // no address of ours on that network (VLAN without device, …)
	RuleIgnore       // a rule says ignore
	DefaultIgnore    // no rule names it
	UnknownArch      // no valid architecture in options 93 and 60
	NoFileForArch    // the profile has no boot file for it
	ReplyTooLong     // the answer does not fit the client's message size
	NothingDeployed  // the rule answers what is deployed, and nothing is
	LocalBoot        // it is to boot from its disk, which silence is the way to
	MachineIgnored   // it is on the ignore list
	MachineHeld      // nobody has named it: recorded, and not answered until approved
	Delayed          // the rule answers later DISCOVERs
	OtherOwner       // another member of the fleet answers it
	WebhookWaits     // the webhook has not answered yet
	WebhookFailed    // the webhook gave no answer, and silence is the rule then

	// The way out.
	NoBuffer  // the transport had no free frame
	SendError // the kernel refused the reply

	NumReasons
)

var reasonNames = [NumReasons]string{
	Answered: "answered", BadFrame: "bad_frame", Truncated: "truncated", BadMagic: "bad_magic",
	NotRequest: "not_request", BadHardware: "bad_hardware", BadRelay: "bad_relay", NoSource: "no_source",
	NotPXE: "not_pxe", BOOTP: "bootp", WrongType: "wrong_type", LeaseRequest: "lease_request",
	OtherServer: "other_server", HTTPOn4011: "http_on_4011", BootItem: "boot_item",
	ClientNotAllowed: "client_not_allowed", NoAddress: "no_address", RuleIgnore: "rule_ignore",
	DefaultIgnore: "default_ignore", UnknownArch: "unknown_arch", NoFileForArch: "no_file_for_arch",
	ReplyTooLong: "reply_too_long", NothingDeployed: "nothing_deployed", LocalBoot: "local_boot",
	MachineIgnored: "machine_ignored", MachineHeld: "machine_held", Delayed: "delayed", OtherOwner: "other_owner",
	WebhookWaits: "webhook_waits", WebhookFailed: "webhook_failed", NoBuffer: "no_buffer", SendError: "send_error",
}

// String returns the metric label.
func (r Reason) String() string {
	if r < NumReasons {
		return reasonNames[r]
	}
	return "invalid"
}
