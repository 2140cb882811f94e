package peers

import (
	"fmt"
	"strings"
	"text/template"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Text is a text of a recipe, with variables in it (Vars).
type Text struct {
	template *template.Template
	at       *token.Token
}

// UnmarshalYAML reads any single value as it is written.
func (t *Text) UnmarshalYAML(n ast.Node) error {
	text, ok := scalar(n)
	if !ok {
		return mistake(n.GetToken(), "must be a text")
	}
	parsed, err := template.New("").Option("missingkey=error").Parse(text)
	if err != nil {
		return mistake(n.GetToken(), "%s", templateFault(err))
	}
	t.template, t.at = parsed, n.GetToken()
	return nil
}

// Fill puts the variables in. A text that was not given is empty.
func (t Text) Fill(v Vars) (string, error) {
	if t.template == nil {
		return "", nil
	}
	var b strings.Builder
	if err := t.template.Execute(&b, v); err != nil {
		return "", mistake(t.at, "%s", templateFault(err))
	}
	return b.String(), nil
}

// templateFault is an error of text/template without its own name and place,
// which would count from the start of the text.
func templateFault(err error) string {
	text := strings.TrimPrefix(err.Error(), "template: ")
	for range 2 {
		if _, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(text, ":") {
			text = rest
		}
	}
	return text
}

func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.AnchorNode:
		return scalar(n.Value)
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// mistake is an error with a place, in the form that the YAML decoder has.
func mistake(at *token.Token, format string, args ...any) error {
	return &yaml.SyntaxError{Message: fmt.Sprintf(format, args...), Token: at}
}
