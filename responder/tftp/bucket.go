package tftp

// bucket bounds a rate.
type bucket struct {
	rate, level float64 // a second; what is left
	last        instant
}

// take takes one if there is one.
func (b *bucket) take(now instant) bool {
	b.level = min(b.rate, b.level+b.rate*now.since(b.last).Seconds())
	b.last = now
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}
