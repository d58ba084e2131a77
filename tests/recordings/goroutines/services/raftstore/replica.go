package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"raftstore.dev/internal/host"
)

// stopper ends what a replica runs.
type stopper struct {
	sync.WaitGroup
	quit chan struct{}
}

func (s *stopper) run(work func(<-chan struct{})) {
	s.Add(1)
	go func() { // CREATED replica_stop
		defer s.Done()
		work(s.quit)
	}()
}

func (s *stopper) stop() {
	s.quit <- struct{}{}
	s.Wait() // VICTIM replica_stop
}

// case replica_stop: chan_recv_no_sender, kernel
func stopReplica(*host.App) {
	s := &stopper{quit: make(chan struct{})}
	for range 3 {
		s.run(func(quit <-chan struct{}) {
			<-quit // ROOT replica_stop
		})
	}
	go s.stop()
}

// proposal is answered when it is committed.
type proposal struct {
	entry  []byte
	result chan error
}

type log struct{ committed int }

func (l *log) commit(p *proposal) (err error) {
	defer func() {
		if caught := recover(); caught != nil {
			err = fmt.Errorf("commit: %v", caught)
		}
	}()
	l.committed += int(p.entry[0])
	p.result <- nil
	return nil
}

// case replica_proposal: chan_recv_no_sender, kernel
func propose(*host.App) {
	p := &proposal{result: make(chan error)}
	go func() { // CREATED replica_proposal
		if err := await(p.result); err != nil {
			fmt.Println(err)
		}
	}()
	go new(log).commit(p)
}

func await[T any](from <-chan T) T {
	return <-from // ROOT replica_proposal
}

// peer passes on what it hears to the next one.
type peer struct {
	id        int
	in        chan string
	neighbour *peer
}

func (p *peer) gossip() {
	p.tell("alive")
	for heard := range p.in {
		p.tell(heard)
	}
}

func (p *peer) tell(what string) {
	p.neighbour.in <- fmt.Sprint(p.id, what) // ROOT replica_ring
}

// case replica_ring: chan_wait_cycle, kernel, visitors=40
func ringOfPeers(*host.App) {
	first := &peer{id: 1, in: make(chan string)}
	second := &peer{id: 2, in: make(chan string), neighbour: first}
	third := &peer{id: 3, in: make(chan string), neighbour: second}
	first.neighbour = third
	for _, p := range []*peer{first, second, third} {
		go p.gossip() // CREATED replica_ring
	}
}

// window lets so many messages be under way.
type window struct {
	tokens chan struct{}
	failed error
}

func (w *window) send(message string) error {
	w.tokens <- struct{}{} // ROOT replica_inflight
	if message == "" {
		w.failed = errors.New("nothing to send")
		return w.failed
	}
	<-w.tokens
	return nil
}

// case replica_inflight: semaphore_not_released, kernel
func inflight(*host.App) {
	w := &window{tokens: make(chan struct{}, 2)}
	for _, message := range []string{"", "", "append", "heartbeat"} {
		time.Sleep(time.Millisecond)
		go w.send(message) // CREATED replica_inflight
	}
}

// store is asked for a snapshot while it applies.
type store struct {
	mu        sync.Mutex
	applied   chan int
	snapshots int
}

func (s *store) apply(index int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applied <- index // ROOT replica_snapshot
}

func (s *store) snapshot() int {
	s.mu.Lock() // ROOT replica_snapshot
	defer s.mu.Unlock()
	s.snapshots++
	return s.snapshots
}

func (s *store) follow() {
	time.Sleep(5 * time.Millisecond)
	if s.snapshot() > 0 {
		fmt.Println(<-s.applied)
	}
}

// case replica_snapshot: chan_lock_cycle, kernel
func snapshotting(*host.App) {
	s := &store{applied: make(chan int)}
	go s.follow() // CREATED replica_snapshot
	go s.apply(7) // CREATED replica_snapshot
}

// election asks for votes; the first majority ends it.
type election struct {
	votes chan bool
	need  int
}

func (e *election) ask(peer int) { e.votes <- peer%2 == 0 } // ROOT replica_campaign

func (e *election) won(peers int) bool {
	for peer := range peers {
		go e.ask(peer) // CREATED replica_campaign
	}
	granted := 0
	for vote := range e.votes {
		if vote {
			granted++
		}
		if granted == e.need {
			return true
		}
	}
	return false
}

// case replica_campaign: chan_send_no_receiver, kernel
func campaign(*host.App) {
	e := &election{votes: make(chan bool), need: 1}
	go e.won(5)
}

// leadership is waited for under a lock, and given under it.
type leadership struct {
	sync.RWMutex
	elected chan struct{}
	leader  int
}

func (l *leadership) wait() int {
	l.RLock()
	defer l.RUnlock()
	if l.leader == 0 {
		<-l.elected // ROOT replica_leader
	}
	return l.leader
}

func (l *leadership) set(id int) {
	time.Sleep(5 * time.Millisecond)
	l.Lock() // ROOT replica_leader
	defer l.Unlock()
	l.leader = id
	close(l.elected)
}

// case replica_leader: chan_lock_cycle, kernel
func leaderChange(*host.App) {
	l := &leadership{elected: make(chan struct{})}
	for range 2 {
		go l.wait() // CREATED replica_leader
	}
	go l.set(3) // CREATED replica_leader
	go func() {
		time.Sleep(9 * time.Millisecond)
		l.RLock() // VICTIM replica_leader
		l.RUnlock()
	}()
}

// reader waits for a round of heartbeats; it is told of the end of its term by nobody.
type reader struct {
	term   context.Context
	rounds chan int
}

func (r *reader) index() (int, error) {
	select { // ROOT replica_read_index
	case round := <-r.rounds:
		return round, nil
	case <-r.term.Done():
		return 0, r.term.Err()
	}
}

func newTerm(parent context.Context) (*reader, context.CancelFunc) {
	term, end := context.WithCancel(parent)
	return &reader{term: term, rounds: make(chan int)}, end
}

// case replica_read_index: ctx_never_cancelled, kernel
func readIndex(*host.App) {
	r, end := newTerm(context.Background())
	stepDown := func(err error) {
		if err != nil {
			end()
		}
	}
	go r.index() // CREATED replica_read_index
	stepDown(nil)
}
