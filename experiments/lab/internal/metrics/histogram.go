package metrics

import (
	"math"
	"slices"
	"sort"
	"sync"
	"time"
)

// LatencyBuckets are the upper bounds, in seconds, for request durations.
var LatencyBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}

// Histogram counts durations by bucket.
type Histogram struct {
	bounds []float64 // upper bounds in seconds, rising, without +Inf

	mu     sync.Mutex
	counts []uint64 // not cumulative; the last one is the +Inf bucket
	sum    float64  // seconds
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	seconds := d.Seconds()
	bucket := sort.SearchFloat64s(h.bounds, seconds) // bounds are inclusive
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[bucket]++
	h.sum += seconds
}

func (h *Histogram) snapshot() (counts []uint64, sum float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.counts), h.sum
}

// HistogramVec is a family of histograms.
type HistogramVec struct{ vec[Histogram] }

// NewHistogramVec registers a family of histograms with these upper bounds in seconds.
func NewHistogramVec(r *Registry, name, help string, bounds []float64, labels ...string) *HistogramVec {
	fresh := func() *Histogram {
		return &Histogram{bounds: bounds, counts: make([]uint64, len(bounds)+1)}
	}
	h := &HistogramVec{newVec(name, help, labels, fresh)}
	r.Register(h)
	return h
}

// Collect implements Collector.
func (h *HistogramVec) Collect(w *Writer) {
	w.Family(h.name, "histogram", h.help)
	h.each(func(s *Histogram, labels []Label) {
		counts, sum := s.snapshot()
		labels = slices.Clip(labels)
		total := uint64(0)
		for i, n := range counts {
			total += n
			bound := math.Inf(1)
			if i < len(s.bounds) {
				bound = s.bounds[i]
			}
			w.Sample(h.name+"_bucket", float64(total), append(labels, Label{"le", formatFloat(bound)})...)
		}
		w.Sample(h.name+"_sum", sum, labels...)
		w.Sample(h.name+"_count", float64(total), labels...)
	})
}
