package admin

import (
	"log/slog"
	"time"

	"lab/internal/metrics"
)

// State is what a breaker does with calls. The numbers are those of its gauge.
type State int

const (
	Closed   State = iota // calls go through
	HalfOpen              // one call at a time goes through, as a probe
	Open                  // no call goes through
)

func (s State) String() string { return [...]string{"closed", "half_open", "open"}[s] }

// probesToClose is how many probes in a row must do well.
const probesToClose = 3

// Breaker keeps calls from an upstream that cannot take them. It opens only
// when it is told to, so that what is wrong can be seen from outside; then it
// half-opens by itself after its time. It is safe for concurrent use.
type Breaker struct {
	versioned
	upstream string
	state    State
	ttl      time.Duration // how long it stays open
	until    time.Time     // while open
	probing  bool
	passed   int // probes in a row that did well
	recent   outcomes
}

// NewBreaker returns a closed breaker for calls to upstream.
func NewBreaker(upstream string) *Breaker { return &Breaker{upstream: upstream, ttl: defaultTTL} }

// Allow says if a call may be made. If so, report must be called with how it
// went. A call that was allowed before the last change of state decides nothing.
func (b *Breaker) Allow() (report func(failed bool), ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	if b.state == Open || b.state == HalfOpen && b.probing {
		return nil, false
	}
	b.probing = b.state == HalfOpen
	asked := b.version
	return func(failed bool) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.recent.add(failed)
		if b.state == HalfOpen && b.version == asked {
			b.judge(failed)
		}
	}, true
}

// judge draws the conclusion from a probe.
func (b *Breaker) judge(failed bool) {
	b.probing = false
	if failed {
		b.enter(Open)
	} else if b.passed++; b.passed >= probesToClose {
		b.enter(Closed)
	}
}

// settle half-opens the breaker when its time is over.
func (b *Breaker) settle() {
	if b.state == Open && !time.Now().Before(b.until) {
		b.enter(HalfOpen)
	}
}

func (b *Breaker) enter(state State) {
	slog.Warn("breaker", "upstream", b.upstream, "before", b.state.String(), "state", state.String())
	b.version++
	b.state, b.probing, b.passed = state, false, 0
	switch state {
	case Open:
		b.until = time.Now().Add(b.ttl)
	case Closed:
		b.recent = outcomes{} // what went wrong before says nothing any more
	}
}

// Collect implements metrics.Collector.
func (b *Breaker) Collect(w *metrics.Writer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.settle()
	w.Family("breaker_state", "gauge", "What the breaker does with calls: 0 lets them through, 1 probes, 2 is open.")
	w.Sample("breaker_state", float64(b.state), metrics.Label{Name: "upstream", Value: b.upstream})
}
