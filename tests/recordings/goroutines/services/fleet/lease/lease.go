// Package lease gives machines to jobs for a time.
package lease

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"code.example.net/infra/fleet/internal/agent"
)

// lease is renewed until it is given back.
type lease struct {
	*time.Ticker
	mu      sync.Mutex
	renewed int
}

func (l *lease) keep() {
	for range l.C { // ROOT lease_renew
		l.mu.Lock()
		l.renewed++
		l.mu.Unlock()
	}
}

// case lease_renew: ticker_never_stopped, service, path=/lease
func MountRenew(a *agent.App) {
	a.Mux.HandleFunc("/lease", func(w http.ResponseWriter, r *http.Request) {
		l := &lease{Ticker: time.NewTicker(800 * time.Millisecond)}
		go l.keep() // CREATED lease_renew
		w.WriteHeader(http.StatusCreated)
	})
}

// countdown ends a lease unless it is stopped before.
type countdown struct {
	timer *time.Timer
	over  func()
}

func (c *countdown) run() {
	<-c.timer.C // ROOT lease_countdown
	c.over()
}

func (c *countdown) stop() bool { return c.timer.Stop() }

// case lease_countdown: timer_stopped_receive, service, path=/hold
func MountCountdown(a *agent.App) {
	a.Mux.HandleFunc("/hold", func(w http.ResponseWriter, r *http.Request) {
		c := &countdown{timer: time.NewTimer(10 * time.Minute), over: func() {}}
		go c.run() // CREATED lease_countdown
		fmt.Fprintln(w, c.stop())
	})
}

func extend(timer *time.Timer, by time.Duration) {
	if !timer.Stop() {
		<-timer.C // ROOT lease_extend
	}
	timer.Reset(by)
}

// case lease_extend: timer_stopped_receive, service, path=/extend
func MountExtend(a *agent.App) {
	a.Mux.HandleFunc("/extend", func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(time.Millisecond)
		<-timer.C
		extend(timer, time.Minute)
		w.WriteHeader(http.StatusNoContent)
	})
}

// case lease_grace: timer_stopped_receive, kernel
func MountGrace(a *agent.App) {
	grace := time.NewTimer(time.Hour)
	over := make(chan struct{})
	go func() { // CREATED lease_grace
		defer close(over)
		at := <-grace.C // ROOT lease_grace
		fmt.Println("over at", at)
	}()
	go func() {
		grace.Stop()
		<-over // VICTIM lease_grace
	}()
}

// job runs under a context of its own.
type job struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func newJob(parent context.Context) *job {
	ctx, cancel := context.WithCancel(parent)
	return &job{ctx, cancel}
}

func (j *job) cleanUp(remove func()) {
	<-j.ctx.Done() // ROOT lease_lost_cancel
	remove()
}

// case lease_lost_cancel: ctx_never_cancelled, service, path=/job
func MountLostCancel(a *agent.App) {
	a.Mux.HandleFunc("/job", func(w http.ResponseWriter, r *http.Request) {
		j := newJob(context.WithoutCancel(r.Context()))
		go j.cleanUp(func() { fmt.Println("removed") }) // CREATED lease_lost_cancel
		if r.FormValue("image") == "" {
			http.Error(w, "which image?", http.StatusBadRequest)
			return
		}
		j.cancel()
	})
}

// scope watches its members until it is left.
func scope(ctx context.Context, joined <-chan string, seen func(string)) {
	for {
		select { // ROOT lease_scope
		case <-ctx.Done():
			return
		case name := <-joined:
			seen(name)
		}
	}
}

// case lease_scope: ctx_never_cancelled, service, path=/scope, workers=90
func MountScope(a *agent.App) {
	a.Mux.HandleFunc("/scope", func(w http.ResponseWriter, r *http.Request) {
		ctx, leave := context.WithCancelCause(context.Background())
		joined := make(chan string, 1)
		go scope(ctx, joined, func(string) {}) // CREATED lease_scope
		joined <- r.RemoteAddr
		if r.Method == http.MethodDelete {
			leave(nil)
		}
	})
}

// bridge makes a context of what ends with a channel.
type bridge struct {
	context.Context
	ended chan struct{}
}

func (b *bridge) Done() <-chan struct{} { return b.ended }

func (b *bridge) Err() error {
	select {
	case <-b.ended:
		return context.Canceled
	default:
		return nil
	}
}

func enter(session *bridge) context.Context {
	ctx, _ := context.WithCancel(session) // ROOT lease_bridge
	return ctx
}

// case lease_bridge: ctx_never_cancelled, service, path=/session, absent=context.(*cancelCtx).propagateCancel.func2
func MountBridge(a *agent.App) {
	session := &bridge{a.Ctx, make(chan struct{})}
	a.Mux.HandleFunc("/session", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, enter(session).Err())
	})
}

// case lease_tickers: healthy, path=/machines, n=3,3
func MountTickers(a *agent.App) {
	for machine := range 70 {
		go observe(a.Ctx, 200*time.Millisecond+time.Duration(machine)*7*time.Millisecond)
	}
	a.Mux.HandleFunc("/machines", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, 70) })
}

func observe(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
