// Package mailbox keeps mail and passes it on.
package mailbox

import (
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"sync"
	"time"

	"github.example/acme/notify/internal/boot"
)

// replica tells its twin what it got, before it takes what the twin tells.
type replica struct {
	inbox chan string
	twin  *replica
	kept  []string
}

func (r *replica) replicate(letter string) {
	r.twin.inbox <- letter // ROOT mailbox_twins
}

func (r *replica) run(letters ...string) {
	for _, letter := range letters {
		r.replicate(letter)
		r.kept = append(r.kept, <-r.inbox)
	}
}

// case mailbox_twins: chan_wait_cycle, kernel
func MountTwins(a *boot.App) {
	left, right := &replica{inbox: make(chan string)}, &replica{inbox: make(chan string)}
	left.twin, right.twin = right, left
	go left.run("a", "b") // CREATED mailbox_twins
	go right.run("c")     // CREATED mailbox_twins
}

type letter struct {
	text string
	ack  chan bool
}

func courier(in <-chan letter) {
	for l := range in {
		if l.text == "" {
			continue
		}
		l.ack <- true
	}
}

func deliver(in chan<- letter, text string) bool {
	l := letter{text: text, ack: make(chan bool)}
	in <- l
	return <-l.ack // ROOT mailbox_ack
}

// case mailbox_ack: chan_recv_no_sender, service, path=/deliver
func MountAck(a *boot.App) {
	in := make(chan letter)
	go courier(in)
	a.Mux.HandleFunc("/deliver", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, deliver(in, r.FormValue("text")))
	})
}

// quota is checked with the mailbox locked, by a method that locks it.
type quota struct {
	mu   sync.Mutex
	used int
	most int
}

func (q *quota) free() int {
	q.mu.Lock() // ROOT mailbox_quota
	defer q.mu.Unlock()
	return q.most - q.used
}

func (q *quota) add(size int) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.free() < size {
		return false
	}
	q.used += size
	return true
}

// case mailbox_quota: mutex_double_lock, service, path=/store, workers=130
func MountQuota(a *boot.App) {
	a.Mux.HandleFunc("/store", func(w http.ResponseWriter, r *http.Request) {
		of := &quota{most: 100}
		go func() { // CREATED mailbox_quota
			fmt.Println(of.add(5))
		}()
		w.WriteHeader(http.StatusAccepted)
	})
}

// index is read while it is purged.
type index struct {
	sync.RWMutex
	ids map[int]time.Time
}

func (i *index) newest() (id int) {
	i.RLock()
	defer i.RUnlock()
	i.each(func(other int) { id = max(id, other) })
	return id
}

func (i *index) each(do func(int)) {
	time.Sleep(25 * time.Millisecond)
	i.RLock() // ROOT mailbox_purge
	defer i.RUnlock()
	for id := range i.ids {
		do(id)
	}
}

func (i *index) purge() {
	time.Sleep(8 * time.Millisecond)
	i.Lock() // ROOT mailbox_purge
	clear(i.ids)
	i.Unlock()
}

// case mailbox_purge: rwmutex_recursive_rlock, service, path=/newest
func MountPurge(a *boot.App) {
	a.Mux.HandleFunc("/newest", func(w http.ResponseWriter, r *http.Request) {
		i := &index{ids: map[int]time.Time{4: time.Now()}}
		go i.purge()  // CREATED mailbox_purge
		go i.newest() // CREATED mailbox_purge
		w.WriteHeader(http.StatusAccepted)
	})
}

// relay hands mail to the next server.
type relay struct {
	*textproto.Conn
}

func (r *relay) greet() (string, error) {
	_, banner, err := r.ReadResponse(220) // ROOT mailbox_smtp
	return banner, err
}

// case mailbox_smtp: net_read_no_deadline, service, path=/relay
func MountSMTP(a *boot.App) {
	a.Mux.HandleFunc("/relay", func(w http.ResponseWriter, r *http.Request) {
		conn, err := net.DialTimeout("tcp", a.Upstream, time.Second)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		next := &relay{textproto.NewConn(conn)}
		go func() { // CREATED mailbox_smtp
			defer next.Close()
			if banner, err := next.greet(); err == nil {
				fmt.Println(banner)
			}
		}()
		w.WriteHeader(http.StatusAccepted)
	})
}

// folder writes to its backend with its lock held.
type folder struct {
	lock    sync.Mutex
	backend net.Conn
}

func (f *folder) append(line string) error {
	f.lock.Lock() // VICTIM mailbox_folder
	defer f.lock.Unlock()
	if _, err := fmt.Fprintln(f.backend, "APPEND", line); err != nil {
		return err
	}
	return f.confirm()
}

func (f *folder) confirm() error {
	_, err := f.backend.Read(make([]byte, 64)) // ROOT mailbox_folder
	return err
}

// case mailbox_folder: mutex_held_across_io, service, path=/append, visitors=64
func MountFolder(a *boot.App) {
	backend, err := net.Dial("tcp", a.Upstream)
	if err != nil {
		panic(err)
	}
	inbox := &folder{backend: backend}
	a.Mux.HandleFunc("/append", func(w http.ResponseWriter, r *http.Request) {
		if err := inbox.append(r.RemoteAddr); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

// counters of mailboxes: a hit in the middle leaves the loop, and the lock, behind.
type counters struct {
	sync.RWMutex
	of map[string]int
}

func (c *counters) busiest(least int) (string, bool) {
	c.Lock() // ROOT mailbox_counters
	for name, n := range c.of {
		if n >= least {
			return name, true
		}
	}
	c.Unlock()
	return "", false
}

// case mailbox_counters: mutex_missing_unlock, service, path=/busiest
func MountCounters(a *boot.App) {
	c := &counters{of: map[string]int{"info": 4}}
	a.Mux.HandleFunc("/busiest", func(w http.ResponseWriter, r *http.Request) {
		found := make(chan string, 1)
		go func() { // CREATED mailbox_counters
			name, _ := c.busiest(3)
			found <- name
		}()
		select {
		case name := <-found:
			fmt.Fprintln(w, name)
		case <-r.Context().Done():
		}
	})
}
