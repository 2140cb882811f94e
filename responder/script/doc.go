// Package script makes boot scripts and other small text files from templates:
// text/template, with the machine, the deployment and the server as data.
//
//	#!ipxe
//	kernel {{.Server.URL}}/linux/vmlinuz hostname={{.Machine.Name}} disk={{.Vars.disk}}
//	{{- with index .Vars "console"}} console={{.}}{{end}}
//
// A template is strict: a variable that the deployment does not have, or a field
// that there is not, is an Error with FILE:LINE:COL and never a file with a hole
// in it. `index .Vars "name"` is the way to a variable that need not be there.
//
// All is bounded, also what a template does wrong: the size of its source, of
// its output and of each text on the way, and how often it goes round. It can
// read nothing but its data: there are no functions for files or the network.
package script
