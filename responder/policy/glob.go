package policy

// Tokens of a glob besides the bytes that stand for themselves.
const (
	anyByte = 0x100 // ?
	anyRun  = 0x101 // *
)

// glob is a pattern over bytes. Most patterns are a literal, with or without a
// * at the end; those are compared without looking at tokens.
type glob struct {
	text    string   // as the user wrote it
	literal string   // what the value starts with
	tokens  []uint16 // what follows the literal
}

// newGlob splits tokens into a literal start and the rest.
func newGlob(text string, tokens []uint16) glob {
	n := 0
	for n < len(tokens) && tokens[n] < anyByte {
		n++
	}
	literal := make([]byte, n)
	for i := range literal {
		literal[i] = byte(tokens[i])
	}
	return glob{text: text, literal: string(literal), tokens: tokens[n:]}
}

// textGlob compiles a pattern of *, ?, \ and bytes that stand for themselves.
func textGlob(text string) glob {
	var tokens []uint16
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '*':
			tokens = append(tokens, anyRun)
		case c == '?':
			tokens = append(tokens, anyByte)
		case c == '\\' && i+1 < len(text):
			i++
			tokens = append(tokens, uint16(text[i]))
		default:
			tokens = append(tokens, uint16(c))
		}
	}
	return newGlob(text, tokens)
}

// matches reports whether the whole of value fits. It takes time in
// proportion to len(value) * len(pattern) at most and does not allocate.
func (g *glob) matches(value []byte) bool {
	if len(value) < len(g.literal) || string(value[:len(g.literal)]) != g.literal {
		return false
	}
	value = value[len(g.literal):]
	if len(g.tokens) == 1 && g.tokens[0] == anyRun {
		return true
	}
	// star and from: where to go on when what was taken since the last * does
	// not fit; the * then swallows one byte more.
	t, v, star, from := 0, 0, -1, 0
	for v < len(value) {
		switch {
		case t < len(g.tokens) && g.tokens[t] == anyRun:
			star, from = t, v
			t++
		case t < len(g.tokens) && (g.tokens[t] == anyByte || g.tokens[t] == uint16(value[v])):
			t++
			v++
		case star >= 0:
			from++
			t, v = star+1, from
		default:
			return false
		}
	}
	for t < len(g.tokens) && g.tokens[t] == anyRun {
		t++
	}
	return t == len(g.tokens)
}

func anyMatches(globs []glob, value []byte) bool {
	for i := range globs {
		if globs[i].matches(value) {
			return true
		}
	}
	return false
}

func globTexts(globs []glob) []string {
	texts := make([]string, len(globs))
	for i := range globs {
		texts[i] = globs[i].text
	}
	return texts
}
