// Package faults breaks a service on purpose, for a bounded time, with real
// causes: slow and failing requests, a held lock, busy CPUs, held memory.
package faults

import (
	"fmt"
	"sync"
	"time"
)

const (
	defaultTTL = 60 * time.Second
	maxTTL     = 600 * time.Second
)

// A kind is a fault that can be set. Its value lies between min and max.
type kind struct {
	name, unit string
	min, max   float64
	optional   bool                             // the value may be left out
	start      func(value float64) (end func()) // end does not block
}

// active is a fault that is set now.
type active struct {
	value   float64
	expires time.Time
	timer   *time.Timer
	end     func()
}

// Status is one fault as the API shows it.
type Status struct {
	Name       string     `json:"name"`
	Unit       string     `json:"unit"`
	Min        float64    `json:"min"`
	Max        float64    `json:"max"`
	Active     bool       `json:"active"`
	Value      float64    `json:"value"`
	ExpiresAt  *time.Time `json:"expires_at"`
	ExpiresInS float64    `json:"expires_in_s"`
}

// Set is the faults of one service. It is safe for concurrent use.
type Set struct {
	kinds   []kind
	traffic traffic

	mu     sync.Mutex
	active map[string]*active
}

// New returns the faults of a service whose handlers share the lock state.
func New(state sync.Locker) *Set {
	s := &Set{active: map[string]*active{}}
	s.kinds = []kind{
		{name: "latency", unit: "ms added to each business request", max: 10_000, start: s.traffic.slowDown},
		{name: "errors", unit: "share of business requests answered 500", max: 1, start: s.traffic.fail},
		{name: "hang", unit: "no value", max: 1, optional: true, start: func(float64) func() { return hang(state) }},
		{name: "cpu", unit: "busy goroutines", min: 1, max: 64, start: burn},
		{name: "memory", unit: "MiB held", min: 1, max: 1024, start: hold},
	}
	return s
}

func (s *Set) kind(name string) (kind, bool) {
	for _, k := range s.kinds {
		if k.name == name {
			return k, true
		}
	}
	return kind{}, false
}

// put sets a fault. A fault with the same value goes on without a gap.
func (s *Set) put(k kind, value float64, ttl time.Duration) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.active[k.name]
	if a == nil || a.value != value {
		s.finish(k.name, a)
		a = &active{value: value, end: k.start(value)}
		s.active[k.name] = a
	} else {
		a.timer.Stop()
	}
	a.expires = time.Now().Add(ttl)
	a.timer = time.AfterFunc(ttl, func() { s.expire(k.name, a) })
	return s.status(k)
}

// clear ends a fault if it is set.
func (s *Set) clear(k kind) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(k.name, s.active[k.name])
	return s.status(k)
}

// expire ends a, unless it was replaced or prolonged while its timer fired.
func (s *Set) expire(name string, a *active) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.active[name] == a && !time.Now().Before(a.expires) {
		s.finish(name, a)
	}
}

func (s *Set) finish(name string, a *active) {
	if a == nil {
		return
	}
	a.timer.Stop()
	a.end()
	delete(s.active, name)
}

func (s *Set) list() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Status, len(s.kinds))
	for i, k := range s.kinds {
		all[i] = s.status(k)
	}
	return all
}

func (s *Set) status(k kind) Status {
	st := Status{Name: k.name, Unit: k.unit, Min: k.min, Max: k.max}
	if a := s.active[k.name]; a != nil {
		at := a.expires.UTC()
		st.Active, st.Value = true, a.value
		st.ExpiresAt, st.ExpiresInS = &at, max(0, time.Until(a.expires).Seconds())
	}
	return st
}

func (k kind) check(value *float64) (float64, error) {
	switch {
	case value == nil && k.optional:
		return k.max, nil
	case value == nil:
		return 0, fmt.Errorf("%s needs a value (%s)", k.name, k.unit)
	case *value < k.min || *value > k.max:
		return 0, fmt.Errorf("the value of %s must be from %g to %g (%s)", k.name, k.min, k.max, k.unit)
	}
	return *value, nil
}
