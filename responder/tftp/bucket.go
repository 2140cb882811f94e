package tftp

// bucket bounds a rate.
type bucket struct {
	rate, most, level float64 // a second; at once; what is left
	last              instant
}

func (b *bucket) fill(now instant) {
	b.level = min(b.most, b.level+b.rate*now.since(b.last).Seconds())
	b.last = now
}

// take takes one if there is one.
func (b *bucket) take(now instant) bool {
	b.fill(now)
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}
