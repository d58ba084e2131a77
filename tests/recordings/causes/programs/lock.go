package main

import (
	"runtime"
	"sync"
	"time"
)

type stock struct {
	sync.RWMutex
	items map[int]int
}

// serveStock answers 300 reads and 150 writes a second, each in a goroutine of its own, as a server does. When sick, a
// write looks something up elsewhere while it holds the lock; when starved, something else takes all the processors.
func serveStock(held time.Duration, starved bool) {
	runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(10_000)
	all := &stock{items: map[int]int{}}
	if starved {
		for range 4 * runtime.GOMAXPROCS(0) {
			go spin()
		}
	}
	for n := 0; ; n++ {
		go all.count(n % 100)
		go all.count(n * 7 % 100)
		go all.book(n%100, held)
		time.Sleep(time.Second / 150)
	}
}

func spin() {
	for n := 1; n != 0; n += 2 {
	}
}

func (s *stock) count(item int) int {
	s.RLock()
	defer s.RUnlock()
	return s.items[item]
}

func (s *stock) book(item int, held time.Duration) {
	s.Lock()
	s.items[item]++
	if held > 0 {
		time.Sleep(held)
	}
	s.Unlock()
}
