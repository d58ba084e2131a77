// Package dome turns the dome and opens its shutters.
package dome

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

var errStorm = errors.New("a storm")

// Dome turns to where a telescope looks.
type Dome struct {
	mu      sync.RWMutex
	azimuth float64
	wind    float64
}

func (d *Dome) rotate(to float64) (float64, error) {
	d.mu.Lock() // ROOT dome_rotate
	from := d.azimuth
	if err := d.safe(); err != nil {
		return from, fmt.Errorf("not turned to %v: %w", to, err)
	}
	d.azimuth = to
	d.mu.Unlock()
	return from, nil
}

func (d *Dome) safe() error {
	if d.wind > 20 {
		return errStorm
	}
	return nil
}

// Azimuth is where the dome's slit is.
func (d *Dome) Azimuth() float64 {
	d.mu.RLock() // ROOT dome_rotate
	defer d.mu.RUnlock()
	return d.azimuth
}

var domes = map[string]*Dome{"calm": {}, "stormy": {wind: 31}}

// case dome_rotate: mutex_missing_unlock, kernel2
func TryRotate() {
	var turns sync.WaitGroup
	for _, d := range domes {
		if _, err := d.rotate(90); err != nil {
			fmt.Println(err)
		}
		turns.Go(func() { d.Azimuth() })
		turns.Go(func() { _, _ = d.rotate(180) })
		turns.Go(func() { d.Azimuth() })
	}
	turns.Wait() // VICTIM dome_rotate
}

// diary writes the state of what it is the diary of before each line.
type diary struct {
	of    *motor
	lines []string
}

func (d *diary) Write(line []byte) (int, error) {
	d.lines = append(d.lines, fmt.Sprintf("%d %s", d.of.speed(), line))
	return len(line), nil
}

type motor struct {
	sync.Mutex
	diary diary
	steps int
}

func (m *motor) speed() int {
	m.Lock() // ROOT dome_log
	defer m.Unlock()
	return m.steps
}

func (m *motor) step(by int) {
	m.Lock() // VICTIM dome_log
	if m.steps += by; m.steps > 2 {
		fmt.Fprintln(&m.diary, "faster")
	}
	m.Unlock()
}

// case dome_log: mutex_double_lock, kernel2
func TryLog() {
	m := new(motor)
	m.diary.of = m
	stepped := make(chan struct{})
	go func() {
		for i := range 4 {
			m.step(i)
		}
		close(stepped)
	}()
	time.Sleep(6 * time.Millisecond)
	go m.step(1)
	<-stepped // VICTIM dome_log
}

type shutters []sync.Mutex

// open locks a shutter and its neighbour.
func (s shutters) open(i int) {
	s[i].Lock()
	defer s[i].Unlock()
	time.Sleep(10 * time.Millisecond)
	next := &s[(i+1)%len(s)]
	next.Lock() // ROOT dome_shutter
	defer next.Unlock()
}

// case dome_shutter: lock_order_abba, kernel2
func TryShutter() {
	s := make(shutters, 3)
	for i := range s {
		go s.open(i) // CREATED dome_shutter
	}
	time.Sleep(30 * time.Millisecond)
	go func() {
		s[1].Lock() // VICTIM dome_shutter
		defer s[1].Unlock()
	}()
}

// with does something while it holds a lock.
func with(lock sync.Locker, do func()) {
	lock.Lock() // ROOT dome_park
	defer lock.Unlock()
	do()
}

// case dome_park: lock_order_abba, kernel2
func TryPark() {
	var slit, drive sync.Mutex
	parked := 0
	settle := func(next sync.Locker) func() {
		return func() {
			time.Sleep(7 * time.Millisecond)
			with(next, func() { parked++ })
		}
	}
	both := make(chan int)
	go func() {
		with(&slit, settle(&drive))
		both <- 1
	}()
	go func() {
		with(&drive, settle(&slit))
		both <- 2
	}()
	fmt.Println(<-both + <-both) // VICTIM dome_park
}

// gust is counted in turns: who has the turn passes it on.
type mast struct {
	mu    sync.Mutex
	turns []chan struct{}
	gusts int
	round sync.WaitGroup
}

func (m *mast) count(i int) {
	defer m.round.Done()
	time.Sleep(time.Duration(len(m.turns)-i) * 6 * time.Millisecond)
	m.mu.Lock() // VICTIM dome_wind
	defer m.mu.Unlock()
	m.take(i)
	m.gusts++
	if i+1 < len(m.turns) {
		m.turns[i+1] <- struct{}{}
	}
}

//go:noinline
func (m *mast) take(i int) {
	<-m.turns[i] // ROOT dome_wind
}

// case dome_wind: chan_lock_cycle, kernel2
func TryWind() {
	m := &mast{}
	for range 4 {
		m.turns = append(m.turns, make(chan struct{}, 1))
	}
	m.turns[0] <- struct{}{}
	for i := range m.turns {
		m.round.Add(1)
		go m.count(i)
	}
	m.round.Wait() // VICTIM dome_wind
	fmt.Println(m.gusts)
}
