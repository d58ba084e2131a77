package faults

import (
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"
)

// traffic is the faults that act on business requests.
type traffic struct {
	delay   atomic.Int64  // nanoseconds added to each request
	failing atomic.Uint64 // share of requests that fail, in millionths
	rounds  atomic.Int64  // computed for each request
	result  atomic.Int64  // so that the compiler leaves the rounds in
}

const millionths = 1e6

func (t *traffic) slowDown(ms float64) (end func()) {
	t.delay.Store(int64(ms * float64(time.Millisecond)))
	return func() { t.delay.Store(0) }
}

func (t *traffic) fail(share float64) (end func()) {
	t.failing.Store(uint64(share * millionths))
	return func() { t.failing.Store(0) }
}

// Around puts latency, work and errors before a business handler.
func (s *Set) Around(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if delay := time.Duration(s.traffic.delay.Load()); delay > 0 {
			select {
			case <-time.After(delay):
			case <-r.Context().Done():
				return // the client has its timeout answer
			}
		}
		s.traffic.result.Store(compute(r.Context(), s.traffic.rounds.Load()))
		if rand.Uint64N(millionths) < s.traffic.failing.Load() {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			w.Write([]byte(`{"error":"The request could not be handled."}` + "\n"))
			return
		}
		next.ServeHTTP(w, r)
	})
}
