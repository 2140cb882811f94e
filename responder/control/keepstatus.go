package control

import "time"

// Store is where deployments and machines are kept.
type Store struct {
	Kind      string    `json:"kind"`               // bbolt, etcd
	Where     string    `json:"where"`              // path of the file, or URLs
	Loaded    bool      `json:"loaded"`             // it has been read: before that, rules with deployments answer nobody
	Available bool      `json:"available"`          // it answers: else deployments for once are held back, and changes refused
	Since     time.Time `json:"since"`              // it answers, or does not
	Error     string    `json:"error,omitempty"`    // why it does not
	Problems  []string  `json:"problems,omitempty"` // records that cannot be read and so are not there; bounded
}

// Deployments counts what is deployed, and to whom.
type Deployments struct {
	States     []DeploymentState `json:"states"`   // only those that there are, ordered by name
	Machines   int               `json:"machines"` // recorded
	Held       int               `json:"held"`     // of these, waiting for approval
	Groups     int               `json:"groups"`
	Ignored    int               `json:"ignored"`      // patterns of the ignore list
	EventsLost uint64            `json:"events_lost"`  // of deployments: not written, as there were too many
	SeenLost   uint64            `json:"seen_lost"`    // machines that were not recorded, as there were too many
	SeenWait   int               `json:"seen_waiting"` // machines that wait to be recorded
	Duplicates []DuplicateUUID   `json:"duplicate_uuids,omitempty"`
}

// DuplicateUUID is a UUID that several machines show: the ports of one, or a
// vendor's mistake, after which a deployment by UUID is for all of them.
type DuplicateUUID struct {
	UUID     string   `json:"uuid"`
	Machines []string `json:"machines"` // hardware addresses
}

// Memory counts what is remembered of machines without a store.
type Memory struct {
	Bindings  int    `json:"bindings"`  // machines that are or may be behind an address
	Addresses int    `json:"addresses"` // that one of them has
	Contested uint64 `json:"contested"` // claims of an address that another machine had claimed just before
	Pushed    uint64 `json:"pushed"`    // machines whose address was forgotten to make room

	Timelines     int    `json:"timelines"`      // machines with a timeline
	Forgotten     uint64 `json:"forgotten"`      // timelines that made room for others
	EventsDropped uint64 `json:"events_dropped"` // that who follows them had no room for
}

// DeploymentState is how many deployments are in one state; a group's is in that
// of the machine that needs most attention.
type DeploymentState struct {
	State string `json:"state"`
	Count int    `json:"count"`
}

// Fleet is who else answers, of those that share the store.
type Fleet struct {
	Name    string   `json:"name"`            // of this server
	Member  bool     `json:"member"`          // the others know of it
	Error   string   `json:"error,omitempty"` // why not, or what went wrong last
	Members []Member `json:"members"`         // this one too, ordered by name
}

// Member is one boot server.
type Member struct {
	Name      string    `json:"name"`
	Draining  bool      `json:"draining"`
	Addresses []string  `json:"addresses,omitempty"`
	Version   string    `json:"version,omitempty"`
	Since     time.Time `json:"since"`
}

// Webhook counts what an outside program was asked since it is asked as it is now.
type Webhook struct {
	Name     string `json:"name"`
	Answers  uint64 `json:"answers"`
	Failures uint64 `json:"failures"`
	Busy     uint64 `json:"busy"`            // not asked: too many questions waited
	Dropped  uint64 `json:"dropped"`         // answers forgotten before their time: too many were kept
	Waiting  int    `json:"waiting"`         // questions
	Kept     int    `json:"kept"`            // questions and answers
	Error    string `json:"error,omitempty"` // of the newest answer
}
