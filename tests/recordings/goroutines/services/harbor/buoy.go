package main

import (
	"fmt"
	"sync"
	"time"
)

type report struct {
	buoy   int
	height float64
}

// sea gathers the reports of buoys.
type sea struct {
	mu      sync.Mutex
	reports chan report
	highest float64
	seen    int
}

func (s *sea) tell(r report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	s.reports <- r // ROOT buoy_report
}

func (s *sea) gather() {
	for r := range s.reports {
		time.Sleep(5 * time.Millisecond)
		s.keep(r)
	}
}

func (s *sea) keep(r report) {
	s.mu.Lock() // ROOT buoy_report
	s.highest = max(s.highest, r.height)
	s.mu.Unlock()
}

func (s *sea) top() float64 {
	s.mu.Lock() // VICTIM buoy_report
	defer s.mu.Unlock()
	return s.highest
}

// case buoy_report: chan_lock_cycle, kernel2
func checkReport() {
	s := &sea{reports: make(chan report)}
	go s.gather()
	go func() {
		for i := range 4 {
			s.tell(report{i, float64(i) / 3})
		}
	}()
	time.Sleep(30 * time.Millisecond)
	fmt.Println(s.top())
}

type mooring struct {
	chain  sync.Mutex
	slack  chan int
	parted chan struct{}
}

// pay lets chain out for as long as there is some.
func (m *mooring) pay() int {
	m.chain.Lock()
	defer m.chain.Unlock()
	total := 0
	for {
		select { // ROOT buoy_mooring
		case metres := <-m.slack:
			total += metres
		case <-m.parted:
			return total
		}
	}
}

func (m *mooring) part() {
	m.chain.Lock() // ROOT buoy_mooring
	defer m.chain.Unlock()
	close(m.parted)
}

// case buoy_mooring: chan_lock_cycle, kernel2
func checkMooring() {
	m := &mooring{slack: make(chan int), parted: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() { fmt.Println(m.pay()) })
	m.slack <- 12
	wg.Go(m.part)
	wg.Wait() // VICTIM buoy_mooring
}

// drift is told by one and read by another, each with the lock.
type drift struct {
	sync.RWMutex
	metres chan float64
	last   float64
}

func (d *drift) follow() {
	d.Lock()
	defer d.Unlock()
	for metre := range d.metres { // ROOT buoy_drift
		d.last += metre
	}
}

//go:noinline
func (d *drift) stop() {
	d.Lock() // ROOT buoy_drift
	close(d.metres)
	d.Unlock()
}

func (d *drift) current() float64 {
	d.RLock() // VICTIM buoy_drift
	defer d.RUnlock()
	return d.last
}

// case buoy_drift: chan_lock_cycle, kernel2
func checkDrift() {
	d := &drift{metres: make(chan float64)}
	go d.follow()
	d.metres <- 1.5
	go d.stop()
	time.Sleep(5 * time.Millisecond)
	for range 3 {
		go d.current()
	}
}

// ferry leaves when all of its crew is done.
type ferry struct {
	crew  sync.WaitGroup
	ready []string
}

func (f *ferry) hand(name string) {
	defer f.crew.Done()
	f.ready = append(f.ready, name)
	if name == "mate" {
		f.crew.Wait() // ROOT ferry_crew
		fmt.Println("all are ready")
	}
}

// case ferry_crew: waitgroup_never_done, kernel2
func checkCrew() {
	f := &ferry{}
	for _, name := range []string{"cook", "mate"} {
		f.crew.Add(1)
		go f.hand(name)
		time.Sleep(3 * time.Millisecond)
	}
	f.crew.Wait() // VICTIM ferry_crew
}

// case ferry_pair: chan_wait_cycle, kernel2
func checkPair() {
	bow, stern := make(chan string), make(chan string)
	cast := make(chan bool)
	go func() {
		line := <-stern // ROOT ferry_pair
		bow <- line
		cast <- true
	}()
	go func() {
		line := <-bow // ROOT ferry_pair
		stern <- line
		cast <- true
	}()
	<-cast // VICTIM ferry_pair
}
