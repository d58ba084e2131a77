package faults

import "context"

const million = 1_000_000

// heat makes each request compute for so many million rounds.
func (t *traffic) heat(millions float64) (end func()) {
	t.rounds.Store(int64(millions * million))
	return func() { t.rounds.Store(0) }
}

// compute keeps a CPU busy until it is done or ctx ends.
func compute(ctx context.Context, rounds int64) (sum int64) {
	for ; rounds > 0 && ctx.Err() == nil; rounds -= million {
		for i := range min(rounds, million) {
			sum = sum*31 + i
		}
	}
	return sum
}
