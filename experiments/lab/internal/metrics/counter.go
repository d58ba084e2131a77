package metrics

import "sync/atomic"

// Counter counts events; it only grows.
type Counter struct{ n atomic.Uint64 }

// Inc adds one event.
func (c *Counter) Inc() { c.n.Add(1) }

// CounterVec is a family of counters.
type CounterVec struct{ vec[Counter] }

// NewCounterVec registers a family of counters with these label names.
func NewCounterVec(r *Registry, name, help string, labels ...string) *CounterVec {
	c := &CounterVec{newVec(name, help, labels, func() *Counter { return new(Counter) })}
	r.Register(c)
	return c
}

// Collect implements Collector.
func (c *CounterVec) Collect(w *Writer) {
	w.Family(c.name, "counter", c.help)
	c.each(func(s *Counter, labels []Label) {
		w.Sample(c.name, float64(s.n.Load()), labels...)
	})
}

// Gauge is a number that goes up and down.
type Gauge struct {
	name, help string
	n          atomic.Int64
}

// NewGauge registers a gauge without labels.
func NewGauge(r *Registry, name, help string) *Gauge {
	g := &Gauge{name: name, help: help}
	r.Register(g)
	return g
}

// Add changes the gauge by delta.
func (g *Gauge) Add(delta int64) { g.n.Add(delta) }

// Collect implements Collector.
func (g *Gauge) Collect(w *Writer) {
	w.Single(g.name, "gauge", g.help, float64(g.n.Load()))
}
