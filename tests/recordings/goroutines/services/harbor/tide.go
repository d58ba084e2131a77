package main

import (
	"fmt"
	"sync"
	"time"
)

type tides struct {
	mu     sync.RWMutex
	levels map[int]float64
}

func (t *tides) at(hour int) float64 {
	t.mu.RLock() // ROOT tide_mean
	defer t.mu.RUnlock()
	return t.levels[hour]
}

func (t *tides) mean(hours ...int) (sum float64) {
	t.mu.RLock() // VICTIM tide_mean
	defer t.mu.RUnlock()
	for _, hour := range hours {
		time.Sleep(5 * time.Millisecond)
		sum += t.at(hour) / float64(len(hours))
	}
	return sum
}

func (t *tides) correct(hour int, level float64) {
	t.mu.Lock() // ROOT tide_mean
	t.levels[hour] = level
	t.mu.Unlock()
}

var table = tides{levels: map[int]float64{0: 1.2, 6: 3.4}}

// case tide_mean: rwmutex_recursive_rlock, kernel2
func checkMean() {
	var all sync.WaitGroup
	all.Go(func() { fmt.Println(table.mean(0, 6, 12, 18)) })
	time.Sleep(8 * time.Millisecond)
	all.Go(func() { table.correct(12, 1.3) })
	time.Sleep(20 * time.Millisecond)
	all.Go(func() { fmt.Println(table.mean(0)) })
	all.Wait() // VICTIM tide_mean
}

// gauges are walked with a function that may look at others.
type gauges[T any] struct {
	guard sync.RWMutex
	rows  map[string]T
}

func (g *gauges[T]) each(visit func(name string, row T)) {
	g.guard.RLock()
	defer g.guard.RUnlock()
	for name, row := range g.rows {
		visit(name, row)
	}
}

//go:noinline
func (g *gauges[T]) get(name string) T {
	g.guard.RLock() // ROOT tide_walk
	defer g.guard.RUnlock()
	return g.rows[name]
}

func (g *gauges[T]) set(name string, row T) {
	g.guard.Lock() // ROOT tide_walk
	defer g.guard.Unlock()
	g.rows[name] = row
}

// case tide_walk: rwmutex_recursive_rlock, kernel2
func checkWalk() {
	g := &gauges[int]{rows: map[string]int{"inner": 4, "outer": 6}}
	go func() {
		time.Sleep(6 * time.Millisecond)
		g.set("outer", 7)
	}()
	g.each(func(name string, row int) {
		time.Sleep(15 * time.Millisecond)
		fmt.Println(name, row-g.get("outer"))
	})
}
