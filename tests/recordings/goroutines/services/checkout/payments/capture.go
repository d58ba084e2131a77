// Package payments captures, refunds and moves money.
package payments

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"example.com/checkout/internal/app"
)

// limiter lets so many captures through at once.
type limiter struct {
	slots chan struct{}
}

func (l *limiter) acquire() {
	l.slots <- struct{}{} // ROOT payments_limiter
}

func (l *limiter) release() { <-l.slots }

// case payments_limiter: semaphore_not_released, service, path=/capture, workers=150
func MountCapture(a *app.App) {
	limit := &limiter{slots: make(chan struct{}, 4)}
	a.Mux.HandleFunc("/capture", func(w http.ResponseWriter, r *http.Request) {
		limit.acquire()
		if r.URL.Query().Get("amount") == "" {
			http.Error(w, "no amount", http.StatusBadRequest)
			return
		}
		limit.release()
	})
}

// tokens is a pool of worth T that is handed out and given back.
type tokens[T any] struct {
	free chan T
}

func newTokens[T any](all ...T) *tokens[T] {
	p := &tokens[T]{free: make(chan T, len(all))}
	for _, one := range all {
		p.free <- one
	}
	return p
}

func (p *tokens[T]) with(work func(T) error) error {
	token := <-p.free // ROOT payments_token_pool
	if err := work(token); err != nil {
		return err
	}
	p.free <- token
	return nil
}

// case payments_token_pool: semaphore_not_released, service, path=/refund
func MountRefund(a *app.App) {
	pool := newTokens("terminal-1", "terminal-2", "terminal-3")
	a.Mux.HandleFunc("/refund", func(w http.ResponseWriter, r *http.Request) {
		go func() { // CREATED payments_token_pool
			if err := pool.with(refund); err != nil {
				fmt.Println("refund:", err)
			}
		}()
		w.WriteHeader(http.StatusAccepted)
	})
}

func refund(terminal string) error {
	return errors.New(terminal + " refused")
}

// wallet is what one customer has.
type wallet struct {
	mu    sync.Mutex
	cents int
}

var errPoor = errors.New("not enough money")

func (w *wallet) take(cents int) error {
	w.mu.Lock() // ROOT payments_wallet_lock
	if w.cents < cents {
		return errPoor
	}
	w.cents -= cents
	w.mu.Unlock()
	return nil
}

// case payments_wallet_lock: mutex_missing_unlock, service, path=/pay
func MountWallet(a *app.App) {
	shared := &wallet{cents: 100}
	a.Mux.HandleFunc("/pay", func(w http.ResponseWriter, r *http.Request) {
		if err := shared.take(900); err != nil {
			http.Error(w, err.Error(), http.StatusPaymentRequired)
		}
	})
}

// case payments_slow_gateway: healthy, flow=10, path=/authorize
func MountSlow(a *app.App) {
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 10}}
	a.Mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		answer, err := client.Get("http://" + a.Upstream + "/slow")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		_, _ = io.Copy(w, answer.Body)
	})
}
