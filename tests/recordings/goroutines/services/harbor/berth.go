package main

import (
	"errors"
	"sync"
	"time"
)

var errTaken = errors.New("the berth is taken")

// berths are locked one by one.
type berths struct {
	locks map[string]*sync.Mutex
	ships map[string]string
}

func (b *berths) assign(berth, ship string) error {
	lock := b.locks[berth]
	lock.Lock() // ROOT berth_assign
	switch b.ships[berth] {
	case "":
		b.ships[berth] = ship
		lock.Unlock()
		return nil
	case ship:
		return nil
	}
	lock.Unlock()
	return errTaken
}

// case berth_assign: mutex_missing_unlock, kernel2
func checkAssign() {
	plan := &berths{map[string]*sync.Mutex{"north": {}, "south": {}}, map[string]string{}}
	var calls sync.WaitGroup
	for _, ship := range []string{"Ada", "Ada", "Bea"} {
		calls.Add(2)
		go func() {
			defer calls.Done()
			_ = plan.assign("north", ship)
		}()
		go func() {
			defer calls.Done()
			_ = plan.assign("south", ship+ship[:1]+time.Now().String())
		}()
		time.Sleep(4 * time.Millisecond)
	}
	calls.Wait() // VICTIM berth_assign
}

type bollard struct {
	strain sync.Mutex
	snaps  int
}

func (b *bollard) moor(rope []int, at int) (length int) {
	defer func() {
		if recover() != nil {
			length = -1
		}
	}()
	b.strain.Lock() // ROOT berth_bollard
	b.snaps += rope[at]
	b.strain.Unlock()
	return len(rope)
}

// case berth_bollard: mutex_missing_unlock, kernel2
func checkBollard() {
	shared := new(bollard)
	if shared.moor(nil, 3) != -1 {
		panic("no rope holds")
	}
	for at := range 3 {
		go shared.moor([]int{4, 5, 6}, at) // CREATED berth_bollard
	}
}

// soundings are read by pilots and written by a survey ship.
type soundings struct {
	mu     sync.RWMutex
	metres []float64
}

func (s *soundings) shallow(draught float64) bool {
	s.mu.RLock() // ROOT berth_depth
	for _, depth := range s.metres {
		if depth < draught {
			return true
		}
	}
	s.mu.RUnlock()
	return false
}

func (s *soundings) measured(depth float64) {
	s.mu.Lock() // ROOT berth_depth
	defer s.mu.Unlock()
	s.metres = append(s.metres, depth)
}

// case berth_depth: mutex_missing_unlock, kernel2
func checkDepth() {
	chart := &soundings{metres: []float64{12, 7.5, 9}}
	done := make(chan struct{})
	chart.shallow(8)
	go func() {
		defer close(done)
		chart.measured(11)
	}()
	time.Sleep(6 * time.Millisecond)
	go chart.shallow(3)
	<-done // VICTIM berth_depth
}

// registry makes what it does not know.
type registry[K comparable, V any] struct {
	sync.RWMutex
	known map[K]V
}

func (r *registry[K, V]) get(key K, make func(K) V) V {
	r.RLock()
	defer r.RUnlock()
	if value, ok := r.known[key]; ok {
		return value
	}
	return r.put(key, make(key))
}

func (r *registry[K, V]) put(key K, value V) V {
	r.Lock() // ROOT berth_registry
	defer r.Unlock()
	r.known[key] = value
	return value
}

func (r *registry[K, V]) size() int {
	r.RLock() // VICTIM berth_registry
	defer r.RUnlock()
	return len(r.known)
}

// case berth_registry: mutex_double_lock, kernel2
func checkRegistry() {
	ships := &registry[string, int]{known: map[string]int{"Ada": 1}}
	var wg sync.WaitGroup
	wg.Go(func() { ships.get("Cleo", func(name string) int { return len(name) }) })
	time.Sleep(7 * time.Millisecond)
	wg.Go(func() { ships.size() })
	wg.Wait() // VICTIM berth_registry
}
