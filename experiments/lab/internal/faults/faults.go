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

// A Kind is a fault that can be set. Its value lies between Min and Max.
type Kind struct {
	Name, Unit string
	Min, Max   float64
	Optional   bool                             // the value may be left out
	Start      func(value float64) (end func()) // end does not block
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
	kinds   []Kind
	traffic traffic

	mu     sync.Mutex
	active map[string]*active
}

// New returns the faults of a service whose handlers share the lock state: those
// that every service has, and its own.
func New(state sync.Locker, own ...Kind) *Set {
	s := &Set{active: map[string]*active{}}
	s.kinds = append([]Kind{
		{Name: "latency", Unit: "ms added to each business request", Max: 10_000, Start: s.traffic.slowDown},
		{Name: "errors", Unit: "share of business requests answered 500", Max: 1, Start: s.traffic.fail},
		{Name: "hang", Unit: "no value", Max: 1, Optional: true, Start: func(float64) func() { return hang(state) }},
		{Name: "cpu", Unit: "busy goroutines", Min: 1, Max: 64, Start: burn},
		{Name: "hot", Unit: "million rounds of a loop for each business request", Max: 10_000, Start: s.traffic.heat},
		{Name: "memory", Unit: "MiB held", Min: 1, Max: 1024, Start: hold},
	}, own...)
	return s
}

func (s *Set) kind(name string) (Kind, bool) {
	for _, k := range s.kinds {
		if k.Name == name {
			return k, true
		}
	}
	return Kind{}, false
}

// put sets a fault. A fault with the same value goes on without a gap.
func (s *Set) put(k Kind, value float64, ttl time.Duration) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.active[k.Name]
	if a == nil || a.value != value {
		s.finish(k.Name, a)
		a = &active{value: value, end: k.Start(value)}
		s.active[k.Name] = a
	} else {
		a.timer.Stop()
	}
	a.expires = time.Now().Add(ttl)
	a.timer = time.AfterFunc(ttl, func() { s.expire(k.Name, a) })
	return s.status(k)
}

// clear ends a fault if it is set.
func (s *Set) clear(k Kind) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(k.Name, s.active[k.Name])
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

func (s *Set) status(k Kind) Status {
	st := Status{Name: k.Name, Unit: k.Unit, Min: k.Min, Max: k.Max}
	if a := s.active[k.Name]; a != nil {
		at := a.expires.UTC()
		st.Active, st.Value = true, a.value
		st.ExpiresAt, st.ExpiresInS = &at, max(0, time.Until(a.expires).Seconds())
	}
	return st
}

func (k Kind) check(value *float64) (float64, error) {
	switch {
	case value == nil && k.Optional:
		return k.Max, nil
	case value == nil:
		return 0, fmt.Errorf("%s needs a value (%s)", k.Name, k.Unit)
	case *value < k.Min || *value > k.Max:
		return 0, fmt.Errorf("the value of %s must be from %g to %g (%s)", k.Name, k.Min, k.Max, k.Unit)
	}
	return *value, nil
}
