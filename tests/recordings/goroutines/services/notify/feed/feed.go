// Package feed is what users see of it.
package feed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.example/acme/notify/internal/boot"
)

// case feed_events: healthy, path=/events, client=patient, n=70,0
func MountEvents(a *boot.App) {
	a.Mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		ticker := time.NewTicker(500 * time.Millisecond)
		defer ticker.Stop()
		for number := 0; ; number++ {
			select {
			case <-ticker.C:
				fmt.Fprintf(w, "id: %d\ndata: tick\n\n", number)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	})
}

// entry is one line of the feed; changed is closed at the next one.
type timeline struct {
	mu      sync.Mutex
	changed chan struct{}
	version int
}

func (t *timeline) wait(ctx context.Context, since int) (int, error) {
	t.mu.Lock()
	changed, version := t.changed, t.version
	t.mu.Unlock()
	if version > since {
		return version, nil
	}
	select {
	case <-changed:
		return since + 1, nil
	case <-ctx.Done():
		return since, ctx.Err()
	}
}

// case feed_wait: healthy, path=/feed, client=patient, n=50,50, again
func MountWait(a *boot.App) {
	t := &timeline{changed: make(chan struct{})}
	a.Mux.HandleFunc("/feed", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
		defer cancel()
		version, err := t.wait(ctx, 0)
		fmt.Fprintln(w, version, err)
	})
}

// reader resumes where it was; where it was comes over a channel that only new readers get.
type reader struct {
	from   int
	resume chan int
}

func newReader(from int) *reader {
	r := &reader{from: from}
	if from == 0 {
		r.resume = make(chan int, 1)
		r.resume <- 1
	}
	return r
}

func (r *reader) loop(show func(int)) {
	for from := range r.resume { // ROOT feed_resume
		show(from)
	}
}

// case feed_resume: nil_chan, service, path=/resume, workers=75
func MountResume(a *boot.App) {
	a.Mux.HandleFunc("/resume", func(w http.ResponseWriter, r *http.Request) {
		go newReader(17).loop(func(int) {}) // CREATED feed_resume
		w.WriteHeader(http.StatusAccepted)
	})
}

// templates are compiled when the first one is asked for.
type templates struct {
	once     sync.Once
	compiled map[string]string
}

func (t *templates) lookup(name string) string {
	t.once.Do(func() { // ROOT feed_templates
		t.compiled = map[string]string{"layout": "<html>"}
		t.compiled["mail"] = t.include("layout") + "<p>"
	})
	return t.compiled[name]
}

func (t *templates) include(name string) string { return t.lookup(name) }

// case feed_templates: once_reentered, service, path=/mail
func MountTemplates(a *boot.App) {
	t := &templates{}
	a.Mux.HandleFunc("/mail", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, t.lookup("mail"))
	})
}

var errEmpty = errors.New("nothing new")

// digest gathers what several sources have, and waits for all of them.
type digest struct {
	wait  sync.WaitGroup
	items chan string
}

func (d *digest) source(name string) {
	defer d.wait.Done()
	d.items <- name // ROOT feed_digest
}

func (d *digest) make(names []string) ([]string, error) {
	for _, name := range names {
		d.wait.Add(1)
		go d.source(name) // CREATED feed_digest
	}
	d.wait.Wait() // VICTIM feed_digest
	close(d.items)
	var all []string
	for item := range d.items {
		all = append(all, item)
	}
	if len(all) == 0 {
		return nil, errEmpty
	}
	return all, nil
}

// case feed_digest: chan_send_no_receiver, service, path=/digest
func MountDigest(a *boot.App) {
	a.Mux.HandleFunc("/digest", func(w http.ResponseWriter, r *http.Request) {
		d := &digest{items: make(chan string, 1)}
		all, err := d.make([]string{"mentions", "replies"})
		fmt.Fprintln(w, all, err)
	})
}

// push sends to devices; their tokens come from a store that was never connected.
type push struct {
	tokens  chan string
	revoked chan string
}

func (p *push) next() (token string, ok bool) {
	select { // ROOT feed_push
	case token, ok = <-p.tokens:
	case gone := <-p.revoked:
		fmt.Println("revoked", gone)
	}
	return token, ok
}

// case feed_push: nil_chan, kernel
func MountPush(a *boot.App) {
	sender := &push{}
	finished := make(chan bool)
	go func() { // CREATED feed_push
		for token, ok := sender.next(); ok; token, ok = sender.next() {
			fmt.Println("to", token)
		}
		finished <- true
	}()
	go func() {
		fmt.Println(<-finished) // VICTIM feed_push
	}()
}
