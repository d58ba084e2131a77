package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// horn is blown when a ship is through; who waits is told by closing.
type horn struct {
	blown chan struct{}
	err   error
}

func (h *horn) wait(name string) {
	<-h.blown // ROOT signal_horn
	fmt.Println(name, "may go")
}

func (h *horn) pass(ship string) error {
	if ship == "" {
		h.err = errors.New("no ship")
		return h.err
	}
	close(h.blown)
	return nil
}

var fog = horn{blown: make(chan struct{})}

// case signal_horn: chan_recv_no_sender, kernel2
func checkHorn() {
	h := &fog
	for _, name := range []string{"Ada", "Bea"} {
		go h.wait(name) // CREATED signal_horn
	}
	_ = h.pass("")
}

func hoist(flags []string, to chan<- string) error {
	for _, flag := range flags {
		if flag == "torn" {
			return errors.New("a torn flag")
		}
		to <- flag
	}
	close(to)
	return nil
}

// case signal_flags: chan_recv_no_sender, kernel2
func checkFlags() {
	mast := make(chan string, 1)
	var readers sync.WaitGroup
	for range 5 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			for flag := range mast { // ROOT signal_flags
				fmt.Println(flag)
			}
		}()
	}
	if err := hoist([]string{"blue", "torn", "red"}, mast); err != nil {
		fmt.Println(err)
	}
	readers.Wait() // VICTIM signal_flags
}

type lamp struct{ lit bool }

func (l *lamp) burn(ctx context.Context) {
	l.lit = true
	<-ctx.Done() // ROOT lamp_watch
	l.lit = false
}

// case lamp_watch: ctx_never_cancelled, kernel2
func checkWatch() {
	watch, _ := context.WithCancel(context.Background())
	go new(lamp).burn(watch) // CREATED lamp_watch
	lunch, back := context.WithTimeout(context.Background(), 4*time.Millisecond)
	defer back()
	<-lunch.Done()
}

type beam struct {
	turns <-chan time.Time
	angle int
}

func (b *beam) rotate(ctx context.Context, orders chan int) {
	for {
		select { // ROOT lamp_beam
		case b.angle = <-orders:
		case <-ctx.Done():
			return
		}
	}
}

// case lamp_beam: ctx_never_cancelled, kernel2
func checkBeam() {
	shift, over := context.WithCancel(context.Background())
	keeper, asleep := context.WithCancel(context.Background())
	orders := make(chan int)
	stopped := make(chan bool)
	go func() {
		new(beam).rotate(keeper, orders)
		stopped <- true
	}()
	go func() {
		<-shift.Done()
		fmt.Println("the shift is over")
	}()
	orders <- 90
	over()
	<-stopped // VICTIM lamp_beam
	asleep()
}

// gate of a ship lock.
type gate struct {
	mu     sync.Mutex
	opened *sync.Cond
}

func (g *gate) open() {
	g.mu.Lock()
	g.opened.Broadcast()
	g.mu.Unlock()
}

func (g *gate) enter() {
	g.mu.Lock()
	g.opened.Wait() // ROOT lock_gate
	g.mu.Unlock()
}

// case lock_gate: cond_never_signaled, kernel2
func checkGate() {
	g := &gate{}
	g.opened = sync.NewCond(&g.mu)
	through := make(chan struct{})
	g.open()
	go func() {
		g.enter()
		close(through)
	}()
	<-through // VICTIM lock_gate
}

// relay repeats what one light says at another.
type relay struct {
	seen, shown chan string
	off         chan struct{}
}

func (r *relay) run(ctx context.Context) {
	for {
		line, on := r.next()
		if !on || ctx.Err() != nil {
			return
		}
		r.shown <- line
	}
}

func (r *relay) next() (line string, on bool) {
	select { // ROOT lamp_relay
	case line, on = <-r.seen:
	case <-r.off:
	}
	return line, on
}

// case lamp_relay: select_no_ctx_done, kernel2
func checkRelay() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r := relay{make(chan string), make(chan string, 1), make(chan struct{})}
	go r.run(ctx)
	r.seen <- "two long, one short"
	fmt.Println(<-r.shown)
}
