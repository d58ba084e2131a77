package main

import (
	"fmt"
	"sync"
	"time"
)

type pilot struct {
	duty  sync.Mutex
	ships []string
}

// swap gives the ships of each to the other.
func (p *pilot) swap(with *pilot) {
	p.duty.Lock()
	defer p.duty.Unlock()
	time.Sleep(11 * time.Millisecond)
	with.duty.Lock() // ROOT pilot_swap
	defer with.duty.Unlock()
	p.ships, with.ships = with.ships, p.ships
}

// case pilot_swap: lock_order_abba, kernel2
func checkSwap() {
	pilots := [2]*pilot{{ships: []string{"Ada"}}, {ships: []string{"Bea"}}}
	var swaps sync.WaitGroup
	for i, one := range pilots {
		swaps.Add(1)
		go func() {
			defer swaps.Done()
			one.swap(pilots[1-i])
		}()
	}
	swaps.Wait() // VICTIM pilot_swap
}

// station has two maps of the same pilots.
type station struct {
	byName struct {
		sync.RWMutex
		rows map[string]int
	}
	byRank struct {
		sync.RWMutex
		rows map[int]string
	}
}

func (s *station) promote(name string) {
	s.byName.RLock()
	defer s.byName.RUnlock()
	time.Sleep(10 * time.Millisecond)
	s.byRank.Lock() // ROOT pilot_station
	s.byRank.rows[s.byName.rows[name]+1] = name
	s.byRank.Unlock()
}

func (s *station) retire(rank int) {
	s.byRank.RLock()
	name := s.byRank.rows[rank]
	time.Sleep(10 * time.Millisecond)
	s.forget(name)
	s.byRank.RUnlock()
}

func (s *station) forget(name string) {
	s.byName.Lock() // ROOT pilot_station
	delete(s.byName.rows, name)
	s.byName.Unlock()
}

func (s *station) rank(name string) int {
	s.byName.RLock() // VICTIM pilot_station
	defer s.byName.RUnlock()
	return s.byName.rows[name]
}

var pilots station

// case pilot_station: lock_order_abba, kernel2
func checkStation() {
	s := &pilots
	s.byName.rows, s.byRank.rows = map[string]int{"Kim": 2}, map[int]string{2: "Kim"}
	go s.promote("Kim")
	go s.retire(2)
	time.Sleep(25 * time.Millisecond)
	fmt.Println(s.rank("Kim"))
}

// Two offices write to each other.
type office interface {
	receive(letter string)
	send(letter string)
}

type customs struct {
	mu    sync.Mutex
	other office
	inbox []string
}

func (c *customs) receive(letter string) {
	c.mu.Lock() // ROOT pilot_mail
	defer c.mu.Unlock()
	c.inbox = append(c.inbox, letter)
}

func (c *customs) send(letter string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	time.Sleep(8 * time.Millisecond)
	c.other.receive(letter)
}

type harbourmaster struct {
	desk    sync.RWMutex
	other   office
	letters int
}

func (h *harbourmaster) receive(string) {
	h.desk.Lock() // ROOT pilot_mail
	h.letters++
	h.desk.Unlock()
}

func (h *harbourmaster) send(letter string) {
	h.desk.RLock()
	defer h.desk.RUnlock()
	time.Sleep(8 * time.Millisecond)
	h.other.receive(letter)
}

// case pilot_mail: lock_order_abba, kernel2, visitors=35
func checkMail() {
	c, h := &customs{}, &harbourmaster{}
	c.other, h.other = h, c
	sent := make(chan struct{}, 2)
	for _, o := range []office{c, h} {
		go func() {
			o.send("inspect")
			sent <- struct{}{}
		}()
	}
	<-sent // VICTIM pilot_mail
	<-sent
}
