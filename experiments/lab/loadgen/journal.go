package main

import (
	"slices"
	"sync"
	"time"

	"lab/internal/metrics"
)

// What stands for the status code when there is none.
const (
	codeTimeout = "timeout" // no answer in time
	codeError   = "error"   // no connection, or it broke
	codeDropped = "dropped" // not sent: too many requests in flight
)

const (
	keepSamples = 60 * time.Second
	ringSize    = maxRate * 60 // samples; enough for keepSamples at maxRate
)

// sample is one request that ended.
type sample struct {
	at   time.Time
	took time.Duration
	code string
}

// journal remembers the recent requests exactly and counts all of them.
type journal struct {
	requests *metrics.CounterVec
	duration *metrics.Histogram
	started  time.Time

	mu     sync.Mutex
	recent []sample // a ring; the oldest is at next once it is full
	next   int
}

func newJournal(r *metrics.Registry) *journal {
	l := &journal{
		requests: metrics.NewCounterVec(r, "loadgen_requests_total",
			"Requests by status code, or timeout, error or dropped.", "code"),
		duration: metrics.NewHistogramVec(r, "loadgen_request_duration_seconds",
			"Time until the answer or the timeout, in seconds.", append(slices.Clip(metrics.LatencyBuckets), 5)).With(),
		started: time.Now(),
	}
	l.requests.With("200")
	l.requests.With("500")
	return l
}

// add enters a request that ended now. A dropped one has no duration.
func (l *journal) add(code string, took time.Duration) {
	l.requests.With(code).Inc()
	if code != codeDropped {
		l.duration.Observe(took)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := sample{time.Now(), took, code}
	if len(l.recent) < ringSize {
		l.recent = append(l.recent, s)
		return
	}
	l.recent[l.next] = s
	l.next = (l.next + 1) % ringSize
}

// since returns the requests that ended after a time, newest first.
func (l *journal) since(from time.Time) []sample {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []sample
	for i := range l.recent {
		s := l.recent[(l.next+len(l.recent)-1-i)%len(l.recent)]
		if s.at.Before(from) {
			break
		}
		found = append(found, s)
	}
	return found
}
