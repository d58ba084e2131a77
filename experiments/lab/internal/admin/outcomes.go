package admin

// outcomes remembers how the last calls went.
type outcomes struct {
	failed [100]bool // a ring
	next   int
	known  int
}

func (o *outcomes) add(failed bool) {
	o.failed[o.next] = failed
	o.next = (o.next + 1) % len(o.failed)
	o.known = min(o.known+1, len(o.failed))
}

// failures returns the share that failed, and of how many.
func (o *outcomes) failures() (share float64, calls int) {
	failed := 0
	for _, one := range o.failed[:o.known] {
		if one {
			failed++
		}
	}
	return float64(failed) / float64(max(o.known, 1)), o.known
}
