// Package metrics keeps counters, gauges and histograms and shows them in the
// Prometheus text format (version 0.0.4). It knows only what the lab needs.
package metrics

import (
	"bytes"
	"net/http"
	"sync"
)

// ContentType is the media type of the text format that Handler writes.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// A Collector writes one or more metric families.
type Collector interface {
	Collect(*Writer)
}

// CollectorFunc makes a function a Collector.
type CollectorFunc func(*Writer)

// Collect calls f.
func (f CollectorFunc) Collect(w *Writer) { f(w) }

// Registry is an ordered list of collectors. The zero value is ready to use.
type Registry struct {
	mu         sync.Mutex
	collectors []Collector
}

// Register adds c at the end of the exposition.
func (r *Registry) Register(c Collector) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.collectors = append(r.collectors, c)
}

// Expose returns the text of all families.
func (r *Registry) Expose() []byte {
	r.mu.Lock()
	collectors := r.collectors[:len(r.collectors):len(r.collectors)]
	r.mu.Unlock()

	var buf bytes.Buffer
	w := &Writer{buf: &buf}
	for _, c := range collectors {
		c.Collect(w)
	}
	return buf.Bytes()
}

// Handler serves the text of all families.
func (r *Registry) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ContentType)
		w.Write(r.Expose())
	})
}
