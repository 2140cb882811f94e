package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xdpxe/xdpxe/cmd/internal/fault"
	"github.com/xdpxe/xdpxe/responder/api"
	"github.com/xdpxe/xdpxe/responder/api/client"
	"github.com/xdpxe/xdpxe/responder/config"
	"github.com/xdpxe/xdpxe/responder/control"
)

// remote says which daemon a command asks: that of this host through its
// control socket, or one by https.
type remote struct {
	socket, config        string
	server, tokenFile, ca string
	cert, key             string
}

// bind adds its flags to a command and those below it.
func (r *remote) bind(cmd *cobra.Command) {
	r.bindServer(cmd)
	f := cmd.PersistentFlags()
	f.StringVarP(&r.config, "config", "c", "", "take the control socket from this configuration `FILE`")
	cmd.MarkPersistentFlagFilename("config", "yaml", "yml")
}

// bindServer does it for a command that has a -c of its own.
func (r *remote) bindServer(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&r.socket, "socket", control.DefaultPath, "control socket of the daemon, `PATH`")
	f.StringVar(&r.server, "server", "", "ask the daemon of another host, `https://HOST:PORT` (api: in its configuration)")
	f.StringVar(&r.tokenFile, "token-file", "", "`FILE` with the token for --server")
	f.StringVar(&r.ca, "ca", "", "`FILE` with the certificates that --server is trusted by; default: the system's")
	f.StringVar(&r.cert, "cert", "", "`FILE` with a client certificate for --server, instead of a token")
	f.StringVar(&r.key, "key", "", "`FILE` with the key of --cert")
	for _, name := range []string{"socket", "token-file", "ca", "cert", "key"} {
		cmd.MarkPersistentFlagFilename(name)
	}
	cmd.RegisterFlagCompletionFunc("server", cobra.FixedCompletions([]string{"https://"}, cobra.ShellCompDirectiveNoSpace|cobra.ShellCompDirectiveNoFileComp))
}

// client returns one for the daemon. It connects when it is used.
func (r *remote) client() (*client.Client, error) {
	c := client.Config{Socket: r.socket, URL: r.server, CA: r.ca, Cert: r.cert, Key: r.key}
	switch {
	case r.server == "" && (r.tokenFile != "" || r.ca != "" || r.cert != "" || r.key != ""):
		return nil, userError(errors.New("--token-file, --ca, --cert and --key are for --server"), "give --server https://HOST:PORT too")
	case r.server != "" && r.config != "":
		return nil, userError(errors.New("-c names a control socket, --server another host"), "give one of them")
	case r.config != "":
		cfg, err := config.Load(r.config)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil, userError(err, "")
			}
			return nil, err
		}
		c.Socket = cfg.Control.Socket
	}
	if r.tokenFile != "" {
		text, err := os.ReadFile(r.tokenFile)
		if err != nil {
			return nil, fileError(err)
		}
		if c.Token = strings.TrimSpace(string(text)); c.Token == "" {
			return nil, userError(fmt.Errorf("%s is empty", r.tokenFile), "")
		}
	}
	cl, err := client.New(c)
	if err != nil {
		return nil, fileError(err)
	}
	return cl, nil
}

// fileError is about what an operator named: it is the machine's fault only if
// it is there and may not be read.
func fileError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return machineError(err, "")
	}
	return userError(err, "")
}

// problemHints say what to do about what the daemon answers.
var problemHints = map[string]string{
	api.CodeUnauthorized: "give --token-file FILE, or --cert FILE and --key FILE",
	api.CodeNoStore:      "no rule of its configuration has boot: deployed or unknown:, and there is no store:",
	api.CodeExists:       "give another --id, or look at what is there: xdpxe deploy show",
	api.CodeChanged:      "look at it again, and repeat the command if it is still right",
	api.CodeBusy:         "try again in a moment",
	api.CodeUnavailable:  `"xdpxe status" says what is wrong with the store`,
}

// ask makes a command's function of one that asks the daemon.
func (r *remote) ask(do func(cmd *cobra.Command, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		defer c.Close()
		return r.fault(do(cmd, c, args))
	}
}

// fault says whose fault an error of the API is, and what to do.
func (r *remote) fault(err error) error {
	p := (*api.Problem)(nil)
	switch {
	case err == nil, errors.As(err, new(*fault.Error)):
		return err
	case errors.As(err, &p):
		if p.Status >= 500 || p.Code == api.CodeUnauthorized {
			return machineError(err, problemHints[p.Code])
		}
		return userError(p, problemHints[p.Code]) // which daemon says so does not matter
	case r.server == "" && (errors.Is(err, control.ErrNoDaemon) || errors.Is(err, fs.ErrPermission)):
		return daemonError(err)
	case errors.Is(err, control.ErrNoDaemon):
		return machineError(err, "is \"xdpxe serve\" running there, with api: in its configuration, on that port?")
	}
	return err
}
