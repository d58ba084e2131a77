package orders

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"example.com/checkout/internal/app"
)

// mail is one letter to send; done is told when it is on its way.
type mail struct {
	to   string
	done chan error
}

type mailer struct {
	queue chan *mail
}

func (m *mailer) offer(letter *mail) {
	select {
	case m.queue <- letter:
	default: // full: the letter is dropped
	}
}

func (m *mailer) send(to string) error {
	letter := &mail{to: to, done: make(chan error, 1)}
	m.offer(letter)
	return <-letter.done // ROOT orders_confirmation
}

// case orders_confirmation: chan_recv_no_sender, service, path=/confirm
func MountConfirmation(a *app.App) {
	m := &mailer{queue: make(chan *mail, 2)}
	a.Mux.HandleFunc("/confirm", func(w http.ResponseWriter, r *http.Request) {
		go func(to string) { // CREATED orders_confirmation
			if err := m.send(to); err != nil {
				fmt.Println("not sent to", to, err)
			}
		}(r.URL.Query().Get("to"))
		w.WriteHeader(http.StatusAccepted)
	})
}

// audit writes an event to the sink of its kind.
type audit struct {
	sinks map[string]chan string
}

func (a *audit) write(kind, line string) {
	a.sinks[kind] <- line // ROOT orders_audit_sink
}

// case orders_audit_sink: nil_chan, service, path=/cancel
func MountAudit(a *app.App) {
	trail := &audit{sinks: map[string]chan string{"created": make(chan string, 64)}}
	a.Mux.HandleFunc("/cancel", func(w http.ResponseWriter, r *http.Request) {
		trail.write("cancelled", r.URL.RawQuery)
		w.WriteHeader(http.StatusNoContent)
	})
}

// board tells everyone who watches when an order changes.
type board struct {
	mu       sync.Mutex
	watchers map[chan string]struct{}
}

func (b *board) watch() chan string {
	b.mu.Lock()
	defer b.mu.Unlock()
	changes := make(chan string, 1)
	b.watchers[changes] = struct{}{}
	return changes
}

func (b *board) tell(ctx context.Context) {
	ticker := time.NewTicker(700 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		<-ticker.C
		b.mu.Lock()
		for changes := range b.watchers {
			select {
			case changes <- "open":
			default:
			}
		}
		b.mu.Unlock()
	}
}

func logChanges(changes <-chan string, customer string) {
	for state := range changes { // ROOT orders_watch_status
		_ = fmt.Sprint(customer, state)
	}
}

// case orders_watch_status: subscriber_never_unsubscribed, service, path=/watch, workers=110
func MountWatch(a *app.App) {
	b := &board{watchers: map[chan string]struct{}{}}
	go b.tell(a.Ctx)
	a.Mux.HandleFunc("/watch", func(w http.ResponseWriter, r *http.Request) {
		go logChanges(b.watch(), r.RemoteAddr) // CREATED orders_watch_status
		w.WriteHeader(http.StatusAccepted)
	})
}

// case orders_fan_out: healthy, flow=6, path=/overview
func MountOverview(a *app.App) {
	a.Mux.HandleFunc("/overview", func(w http.ResponseWriter, r *http.Request) {
		var group sync.WaitGroup
		parts := make([]string, 3)
		for i, name := range []string{"cart", "address", "offers"} {
			group.Go(func() { parts[i] = section(r.Context(), name) })
		}
		group.Wait()
		fmt.Fprintln(w, parts)
	})
}

func section(ctx context.Context, name string) string {
	select {
	case <-time.After(400 * time.Millisecond):
		return name
	case <-ctx.Done():
		return ""
	}
}
