// Package probe looks whether machines and what runs on them are well.
package probe

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"code.example.net/infra/fleet/internal/agent"
)

// gauge takes a sample at every tick.
type gauge struct {
	samples []int64
	stop    chan struct{}
}

func (g *gauge) run(every time.Duration, sample func() int64) {
	ticks := time.Tick(every)
	for {
		g.add(ticks, sample)
	}
}

func (g *gauge) add(ticks <-chan time.Time, sample func() int64) {
	at := <-ticks // ROOT probe_gauge
	g.samples = append(g.samples[:0], sample(), at.Unix())
}

// case probe_gauge: ticker_never_stopped, service, path=/gauge, visitors=40
func MountGauge(a *agent.App) {
	var load atomic.Int64
	a.Mux.HandleFunc("/gauge", func(w http.ResponseWriter, r *http.Request) {
		g := &gauge{stop: make(chan struct{})}
		go g.run(500*time.Millisecond, load.Load) // CREATED probe_gauge
		defer close(g.stop)
		w.WriteHeader(http.StatusAccepted)
	})
}

// case probe_pulse: ticker_never_stopped, service, path=/pulse
func MountPulse(a *agent.App) {
	a.Mux.HandleFunc("/pulse", func(w http.ResponseWriter, r *http.Request) {
		host := r.FormValue("host")
		go func() { // CREATED probe_pulse
			beat, sweep := time.NewTicker(time.Second), time.NewTicker(5*time.Second)
			for {
				select { // ROOT probe_pulse
				case <-beat.C:
					_ = host
				case <-sweep.C:
					_ = host + "/old"
				}
			}
		}()
		w.WriteHeader(http.StatusAccepted)
	})
}

type deployment struct{ ready atomic.Bool }

func (d *deployment) waitReady() {
	for !d.ready.Load() {
		time.Sleep(200 * time.Millisecond) // ROOT probe_until_ready
	}
}

// case probe_until_ready: sleep_poll_loop, service, path=/deploy
func MountReady(a *agent.App) {
	a.Mux.HandleFunc("/deploy", func(w http.ResponseWriter, r *http.Request) {
		d := &deployment{}
		go d.waitReady() // CREATED probe_until_ready
		w.WriteHeader(http.StatusAccepted)
	})
}

// backoff waits longer after every failure.
type backoff struct{ wait, most time.Duration }

func (b *backoff) pause() {
	time.Sleep(b.wait) // ROOT probe_backoff
	b.wait = min(2*b.wait, b.most)
}

func retry(try func() error) {
	b := backoff{wait: 10 * time.Millisecond, most: 3 * time.Second}
	for try() != nil {
		b.pause()
	}
}

// case probe_backoff: sleep_poll_loop, service, path=/register
func MountBackoff(a *agent.App) {
	a.Mux.HandleFunc("/register", func(w http.ResponseWriter, r *http.Request) {
		name := r.FormValue("name")
		go retry(func() error { // CREATED probe_backoff
			return fmt.Errorf("the registry does not know %q", name)
		})
	})
}

// case probe_spin: sleep_poll_loop, service, path=/await
func MountSpin(a *agent.App) {
	state := make(map[string]bool)
	a.Mux.HandleFunc("/await", func(w http.ResponseWriter, r *http.Request) {
		for !state[r.FormValue("machine")] {
			<-time.After(time.Millisecond)
			time.Sleep(350 * time.Millisecond) // ROOT probe_spin
		}
		w.WriteHeader(http.StatusOK)
	})
}

// collector asks machines for facts and merges them.
type collector struct {
	facts   chan string
	refresh chan chan struct{}
}

func (c *collector) loop(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	known := map[string]int{}
	for {
		select { // ROOT probe_collect
		case fact, open := <-c.facts:
			if !open {
				return
			}
			known[fact]++
		case done := <-c.refresh:
			clear(known)
			close(done)
		}
	}
}

// case probe_collect: select_no_ctx_done, service, path=/collect
func MountCollect(a *agent.App) {
	a.Mux.HandleFunc("/collect", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		c := &collector{make(chan string), make(chan chan struct{})}
		go c.loop(ctx) // CREATED probe_collect
		c.facts <- "kernel"
	})
}

// case probe_steady: healthy, path=/health, flow=3
func MountSteady(a *agent.App) {
	checks := make(chan func(), 32)
	for range 24 {
		go func() {
			for check := range checks {
				check()
			}
		}()
	}
	a.Mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
		answers := make(chan string, 2)
		for range 2 {
			checks <- func() {
				time.Sleep(450 * time.Millisecond)
				answers <- "well"
			}
		}
		for range 2 {
			fmt.Fprintln(w, <-answers)
		}
	})
}
