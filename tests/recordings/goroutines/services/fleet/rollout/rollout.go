// Package rollout brings a new version to the machines, wave by wave.
package rollout

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"code.example.net/infra/fleet/internal/agent"
)

type event struct{ machine, state string }

// merge makes one stream of two.
func merge[T any](ctx context.Context, left, right <-chan T, out chan<- T) error {
	for left != nil || right != nil {
		select { // ROOT rollout_merge
		case one, open := <-left:
			if !open {
				left = nil
				continue
			}
			out <- one
		case one, open := <-right:
			if !open {
				right = nil
				continue
			}
			out <- one
		}
	}
	return ctx.Err()
}

// case rollout_merge: select_no_ctx_done, service, path=/events, workers=160
func MountMerge(a *agent.App) {
	a.Mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		machines, versions, all := make(chan event), make(chan event), make(chan event, 4)
		go func() { // CREATED rollout_merge
			if err := merge(r.Context(), machines, versions, all); err != nil {
				fmt.Println(err)
			}
		}()
		machines <- event{"m-1", "draining"}
		fmt.Fprintln(w, <-all)
	})
}

// approval is waited for by everyone who asked.
type approval struct {
	sync.Mutex
	*sync.Cond
	given bool
}

func newApproval() *approval {
	a := &approval{}
	a.Cond = sync.NewCond(&a.Mutex)
	return a
}

func (a *approval) give() {
	a.Lock()
	a.given = true
	a.Unlock()
}

func (a *approval) await() {
	a.Lock()
	defer a.Unlock()
	for !a.given {
		a.Wait() // ROOT rollout_approve
	}
}

// case rollout_approve: cond_never_signaled, kernel
func MountApprove(a *agent.App) {
	approved, finished := newApproval(), make(chan string)
	for _, wave := range []string{"canary", "half"} {
		go func() { // CREATED rollout_approve
			approved.await()
			finished <- wave
		}()
	}
	go func() {
		time.Sleep(5 * time.Millisecond)
		approved.give()
		fmt.Println(<-finished) // VICTIM rollout_approve
	}()
}

// hook is told of a rollout and says whether it may go on.
type hook struct {
	verdicts chan error
}

func (h *hook) ask(ctx context.Context) error {
	return first(ctx, h.verdicts)
}

func first[T any](ctx context.Context, from <-chan T) (one T) {
	select { // ROOT rollout_detached
	case <-ctx.Done():
		return one
	case one = <-from:
		return one
	}
}

// case rollout_detached: context_not_propagated, service, path=/rollout
func MountDetached(a *agent.App) {
	a.Mux.HandleFunc("/rollout", func(w http.ResponseWriter, r *http.Request) {
		h := &hook{verdicts: make(chan error)}
		go func(ctx context.Context) { // CREATED rollout_detached
			for {
				if err := h.ask(context.Background()); err != nil || ctx.Err() != nil {
					return
				}
			}
		}(r.Context())
		w.WriteHeader(http.StatusAccepted)
	})
}

// wave waits until all machines of it have answered.
type wave struct {
	sync.WaitGroup
	machines []string
}

func (w *wave) roll(one func(string) error) error {
	var failed error
	for _, machine := range w.machines {
		w.Add(1)
		go func() {
			if err := one(machine); err != nil {
				failed = err
				return
			}
			w.Done()
		}()
	}
	w.Wait() // ROOT rollout_wave
	return failed
}

// case rollout_wave: waitgroup_never_done, kernel
func MountWave(a *agent.App) {
	w := &wave{machines: []string{"m-1", "m-2", "m-3"}}
	result := make(chan error)
	go func() { // CREATED rollout_wave
		result <- w.roll(func(machine string) error {
			if machine == "m-2" {
				return errors.New("unreachable")
			}
			return nil
		})
	}()
	go func() {
		if err := <-result; err != nil { // VICTIM rollout_wave
			fmt.Println(err)
		}
	}()
}

// barrier lets nobody through before all have come.
type barrier struct {
	mu    sync.Mutex
	moved sync.Cond
	come  int
	all   int
}

func newBarrier(all int) *barrier {
	b := &barrier{all: all}
	b.moved.L = &b.mu
	return b
}

func (b *barrier) pass() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.come++; b.come == b.all {
		b.moved.Broadcast()
		return
	}
	for b.come < b.all {
		b.moved.Wait() // ROOT rollout_barrier
	}
}

// case rollout_barrier: cond_never_signaled, service, path=/wave, n=8,14
func MountBarrier(a *agent.App) {
	a.Mux.HandleFunc("/wave", func(w http.ResponseWriter, r *http.Request) {
		b := newBarrier(3)
		for range 2 {
			go b.pass() // CREATED rollout_barrier
		}
		w.WriteHeader(http.StatusAccepted)
	})
}

// case rollout_drain: chan_send_no_receiver, kernel
func MountDrain(a *agent.App) {
	drained := make(chan event)
	go func() { // CREATED rollout_drain
		for _, machine := range []string{"m-1", "m-2"} {
			report(drained, machine)
		}
	}()
	go func() {
		if e := <-drained; e.state == "drained" {
			return
		}
		<-drained
	}()
}

func report(to chan<- event, machine string) {
	time.Sleep(time.Millisecond)
	to <- event{machine, "drained"} // ROOT rollout_drain
}
