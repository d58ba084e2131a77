package main

import (
	"fmt"
	"log"
	"sync"
	"time"
)

type crane struct {
	sync.Mutex
	name   string
	tonnes int
}

func (c *crane) String() string {
	c.Lock() // ROOT crane_overload
	defer c.Unlock()
	return fmt.Sprintf("%s with %d t", c.name, c.tonnes)
}

func (c *crane) lift(tonnes int) {
	c.Lock()
	defer c.Unlock()
	if c.tonnes += tonnes; c.tonnes > 40 {
		log.Printf("too much: %v", c)
	}
}

// case crane_overload: mutex_double_lock, kernel2
func checkOverload() {
	c := &crane{name: "east"}
	for _, tonnes := range []int{12, 21, 19} {
		c.lift(tonnes)
	}
}

type mover interface{ moved(from, to string) }

// yard tells whoever watches it of each container.
type yard struct {
	mu       sync.Mutex
	stacks   map[string]int
	watchers []mover
}

func (y *yard) move(from, to string) {
	y.mu.Lock() // VICTIM crane_yard
	defer y.mu.Unlock()
	y.stacks[from]--
	y.stacks[to]++
	for _, watcher := range y.watchers {
		watcher.moved(from, to)
	}
}

//go:noinline
func (y *yard) height(stack string) int {
	y.mu.Lock() // ROOT crane_yard
	defer y.mu.Unlock()
	return y.stacks[stack]
}

type alarm struct{ of *yard }

func (a alarm) moved(_, to string) {
	if a.of.height(to) > 5 {
		fmt.Println(to, "is high")
	}
}

var quayside = yard{stacks: map[string]int{"a": 3, "b": 2}}

// case crane_yard: mutex_double_lock, kernel2
func checkYard() {
	y := &quayside
	y.watchers = append(y.watchers, alarm{y})
	moved := make(chan bool, 2)
	for range 2 {
		go func() {
			y.move("a", "b")
			moved <- true
		}()
	}
	for range cap(moved) {
		<-moved // VICTIM crane_yard
	}
}

type gantry struct {
	rail   sync.Mutex
	broken []bool
	passed int
}

func (g gantry) usable(i int) bool { return i < len(g.broken) && !g.broken[i] }

func (g *gantry) patrol() {
	for i := range g.broken {
		g.rail.Lock() // ROOT crane_patrol
		if !g.usable(i) {
			continue
		}
		g.passed++
		g.rail.Unlock()
	}
}

// case crane_patrol: mutex_missing_unlock, kernel2
func checkPatrol() {
	g := &gantry{broken: []bool{false, true, false, false}}
	go g.patrol() // CREATED crane_patrol
	time.Sleep(time.Millisecond)
}

// brakes let go by themselves, unless they were pulled again.
type brakes struct {
	mu      sync.Mutex
	pulled  map[int]int
	release map[int]*time.Timer
}

func (b *brakes) pull(wheel int) {
	b.mu.Lock() // ROOT crane_brake
	defer b.mu.Unlock()
	b.pulled[wheel]++
	turn := b.pulled[wheel]
	b.release[wheel] = time.AfterFunc(9*time.Millisecond, func() {
		b.mu.Lock() // ROOT crane_brake
		if b.pulled[wheel] != turn {
			return
		}
		delete(b.pulled, wheel)
		b.mu.Unlock()
	})
}

// case crane_brake: mutex_missing_unlock, kernel2
func checkBrake() {
	b := &brakes{pulled: map[int]int{}, release: map[int]*time.Timer{}}
	done := make(chan int)
	go func() {
		for i := range 3 {
			b.pull(1)
			time.Sleep(time.Duration(4+i*9) * time.Millisecond)
		}
		close(done)
	}()
	<-done // VICTIM crane_brake
}

type point struct{ x, y int }

type tug struct {
	sync.Mutex
	at point
}

func (t tug) position() point {
	t.Lock() // ROOT tug_position
	defer t.Unlock()
	return t.at
}

func (t *tug) tow(by point) point {
	t.Lock()
	defer t.Unlock()
	old := t.position()
	t.at = point{old.x + by.x, old.y + by.y}
	return t.at
}

// case tug_position: mutex_double_lock, kernel2
func checkPosition() {
	tugs := []tug{{at: point{1, 1}}, {at: point{2, 2}}}
	arrived := make(chan point)
	for i := range tugs {
		go func() { arrived <- tugs[i].tow(point{3, 4}) }()
	}
	fmt.Println(<-arrived) // VICTIM tug_position
}
