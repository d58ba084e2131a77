// Package hub spreads what is published to all who have subscribed.
package hub

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.example/acme/notify/internal/boot"
)

// Hub is a bus of messages of one type.
type Hub[M any] struct {
	mu   sync.RWMutex
	subs map[int]*Subscription[M]
	next int
}

// Subscription gets its share of what is published until it is closed.
type Subscription[M any] struct {
	C   chan M
	id  int
	hub *Hub[M]
}

func newHub[M any]() *Hub[M] { return &Hub[M]{subs: map[int]*Subscription[M]{}} }

func (h *Hub[M]) Subscribe() *Subscription[M] {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next++
	s := &Subscription[M]{C: make(chan M, 4), id: h.next, hub: h}
	h.subs[s.id] = s
	return s
}

func (s *Subscription[M]) Close() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.subs, s.id)
	close(s.C)
}

func (h *Hub[M]) Publish(message M) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, s := range h.subs {
		select {
		case s.C <- message:
		default:
		}
	}
}

func (h *Hub[M]) every(ctx context.Context, wait time.Duration, message M) {
	ticker := time.NewTicker(wait)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			h.Publish(message)
		case <-ctx.Done():
			return
		}
	}
}

type note struct{ topic, text string }

func (s *Subscription[M]) Next() (M, bool) {
	message, open := <-s.C // ROOT hub_listen
	return message, open
}

func tail(s *Subscription[note], each func(note)) {
	for {
		n, open := s.Next()
		if !open {
			return
		}
		each(n)
	}
}

// case hub_listen: subscriber_never_unsubscribed, service, path=/listen, visitors=50
func MountListen(a *boot.App) {
	h := newHub[note]()
	go h.every(a.Ctx, 600*time.Millisecond, note{"orders", "new"})
	a.Mux.HandleFunc("/listen", func(w http.ResponseWriter, r *http.Request) {
		go tail(h.Subscribe(), func(n note) { _ = n.text }) // CREATED hub_listen
		w.WriteHeader(http.StatusAccepted)
	})
}

// filtered passes on only what belongs to its topic.
func filtered(from *Subscription[note], topic string) <-chan note {
	to := make(chan note, 1)
	go func() { // CREATED hub_filtered
		defer close(to)
		for n := range from.C { // ROOT hub_filtered
			if n.topic == topic {
				to <- n
			}
		}
	}()
	return to
}

// case hub_filtered: subscriber_never_unsubscribed, service, path=/topic
func MountFiltered(a *boot.App) {
	h := newHub[note]()
	go h.every(a.Ctx, time.Second, note{"payments", "paid"})
	a.Mux.HandleFunc("/topic", func(w http.ResponseWriter, r *http.Request) {
		notes := filtered(h.Subscribe(), "orders")
		select {
		case n := <-notes:
			fmt.Fprintln(w, n.text)
		case <-time.After(30 * time.Millisecond):
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

// presence knows who is there; each has a place where hints are put.
type presence struct {
	mu    sync.Mutex
	hints map[string]chan string
}

func (p *presence) join(name string) {
	hints := make(chan string)
	p.mu.Lock()
	p.hints[fmt.Sprint(name, len(p.hints))] = hints
	p.mu.Unlock()
	go p.follow(hints, make(chan struct{})) // CREATED hub_presence
}

func (p *presence) follow(hints chan string, muted chan struct{}) {
	for {
		select { // ROOT hub_presence
		case <-hints:
		case <-muted:
			hints = nil
		}
	}
}

// case hub_presence: subscriber_never_unsubscribed, service, path=/join
func MountPresence(a *boot.App) {
	p := &presence{hints: map[string]chan string{}}
	a.Mux.HandleFunc("/join", func(w http.ResponseWriter, r *http.Request) {
		p.join(r.RemoteAddr)
		w.WriteHeader(http.StatusAccepted)
	})
	a.Mux.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, len(p.hints)) })
}

// case hub_steady: healthy, path=/latest, n=3,3
func MountSteady(a *boot.App) {
	h := newHub[note]()
	go h.every(a.Ctx, 50*time.Millisecond, note{"all", "tick"})
	for range 80 {
		s := h.Subscribe()
		context.AfterFunc(a.Ctx, s.Close)
		go tail(s, func(n note) { _ = n.topic })
	}
	a.Mux.HandleFunc("/latest", func(w http.ResponseWriter, r *http.Request) {
		s := h.Subscribe()
		defer s.Close()
		n, _ := s.Next()
		fmt.Fprintln(w, n.text)
	})
}

// room is left by those who are slow: the one who speaks removes them, but they want to say good-bye.
type room struct {
	mu      sync.Mutex
	members map[*member]bool
}

type member struct {
	in   chan string
	room *room
}

func (r *room) say(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for m := range r.members {
		m.in <- text // ROOT hub_broadcast
	}
}

func (m *member) run() {
	for text := range m.in {
		if text == "bye" {
			m.leave()
		}
	}
}

func (m *member) leave() {
	m.room.mu.Lock() // ROOT hub_broadcast
	defer m.room.mu.Unlock()
	delete(m.room.members, m)
}

// case hub_broadcast: chan_lock_cycle, service, path=/rooms
func MountBroadcast(a *boot.App) {
	a.Mux.HandleFunc("/rooms", func(w http.ResponseWriter, r *http.Request) {
		lobby := &room{members: map[*member]bool{}}
		m := &member{in: make(chan string), room: lobby}
		lobby.members[m] = true
		go m.run()  // CREATED hub_broadcast
		go func() { // CREATED hub_broadcast
			lobby.say("bye")
			lobby.say("anyone there?")
		}()
		w.WriteHeader(http.StatusCreated)
	})
}

// client is told to go with its lock held; its writer takes the lock before it looks.
type client struct {
	sync.Mutex
	quit   chan struct{}
	queued []string
}

func (c *client) disconnect() {
	c.Lock()
	defer c.Unlock()
	c.quit <- struct{}{} // ROOT hub_disconnect
}

func (c *client) flush() {
	c.Lock() // ROOT hub_disconnect
	c.queued = c.queued[:0]
	c.Unlock()
}

// case hub_disconnect: chan_lock_cycle, kernel
func MountDisconnect(a *boot.App) {
	c := &client{quit: make(chan struct{})}
	gone := make(chan struct{})
	go func() { // CREATED hub_disconnect
		time.Sleep(10 * time.Millisecond)
		c.flush()
		<-c.quit
	}()
	go func() { // CREATED hub_disconnect
		defer close(gone)
		time.Sleep(2 * time.Millisecond)
		c.disconnect()
	}()
	go func() {
		<-gone // VICTIM hub_disconnect
		fmt.Println("gone")
	}()
}
