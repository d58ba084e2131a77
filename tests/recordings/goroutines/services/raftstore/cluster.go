package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"raftstore.dev/internal/host"
)

type locker interface{ with(work func()) }

// region and table are locked in the order in which they are asked for.
type region struct {
	mu   sync.Mutex
	name string
}

func (r *region) with(work func()) {
	r.mu.Lock() // ROOT cluster_membership
	defer r.mu.Unlock()
	work()
}

type table struct {
	sync.RWMutex
	rows int
}

func (t *table) with(work func()) {
	t.Lock() // ROOT cluster_membership
	work()
	t.Unlock()
}

func both(first, second locker, done *int) {
	first.with(func() {
		time.Sleep(10 * time.Millisecond)
		second.with(func() { *done++ })
	})
}

// case cluster_membership: lock_order_abba, kernel
func membership(*host.App) {
	var moved, split int
	r, t := &region{name: "r-1"}, &table{}
	go both(r, t, &moved) // CREATED cluster_membership
	go both(t, r, &split) // CREATED cluster_membership
}

// pipe carries messages to one peer, one at a time.
type pipe struct {
	mu   sync.Mutex
	conn net.Conn
	sent int
}

func (p *pipe) roundTrip(message string) (answer []byte, err error) {
	p.mu.Lock() // VICTIM cluster_transport
	defer p.mu.Unlock()
	p.sent++
	if _, err = fmt.Fprintln(p.conn, message); err != nil {
		return nil, err
	}
	answer = make([]byte, 8)
	_, err = p.conn.Read(answer) // ROOT cluster_transport
	return answer, err
}

// case cluster_transport: mutex_held_across_io, kernel
func transport(h *host.App) {
	conn, err := net.Dial("tcp", h.Upstream)
	if err != nil {
		panic(err)
	}
	p := &pipe{conn: conn}
	for _, message := range []string{"append", "heartbeat", "vote"} {
		go p.roundTrip(message)
	}
}

// parsed is the configuration; its defaults are made from it.
var parsed func() map[string]int

func init() {
	parsed = sync.OnceValue(parse)
}

func parse() map[string]int {
	values := map[string]int{"replicas": 3}
	values["quorum"] = quorum()
	return values
}

func quorum() int { return parsed()["replicas"]/2 + 1 } // ROOT cluster_config

// case cluster_config: once_reentered, kernel
func config(*host.App) {
	go func() { // CREATED cluster_config
		fmt.Println(quorum())
	}()
}

// observers are told of every change while the cluster is locked; one of them asks the cluster.
type cluster struct {
	sync.Mutex
	members   []string
	observers []func(string)
}

func (c *cluster) size() int {
	c.Lock() // ROOT cluster_observers
	defer c.Unlock()
	return len(c.members)
}

func (c *cluster) add(name string) {
	c.Lock()
	defer c.Unlock()
	c.members = append(c.members, name)
	for _, tell := range c.observers {
		tell(name)
	}
}

// case cluster_observers: mutex_double_lock, kernel, workers=40
func observers(*host.App) {
	c := &cluster{}
	c.observers = append(c.observers, func(name string) { fmt.Println(name, "is one of", c.size()) })
	added := make(chan struct{})
	go func() { // CREATED cluster_observers
		c.add("m-1")
		close(added)
	}()
	go func() {
		<-added // VICTIM cluster_observers
	}()
}

// join waits until all have come; who is late is counted twice.
func join(*host.App) { // the members come from a file
	var come sync.WaitGroup
	members := []string{"m-1", "m-2", "m-2"}
	come.Add(len(members))
	seen := sync.Map{}
	for _, name := range members {
		go func() {
			if _, twice := seen.LoadOrStore(name, true); !twice {
				come.Done()
			}
		}()
	}
	go open(&come) // CREATED cluster_join
}

// case cluster_join: waitgroup_never_done, kernel
func open(come *sync.WaitGroup) {
	come.Wait() // ROOT cluster_join
	fmt.Println("open")
}

// shards move from one peer to another until they are told to stop.
type mover struct {
	plans, moved chan int
}

func (m *mover) run(ctx context.Context) error {
	defer fmt.Println("stopped", ctx.Err())
	return m.loop()
}

func (m *mover) loop() error {
	for {
		select { // ROOT cluster_shards
		case plan := <-m.plans:
			m.moved <- plan
		case shard := <-m.moved:
			fmt.Println("moved", shard)
		}
	}
}

// case cluster_shards: select_no_ctx_done, kernel
func shards(h *host.App) {
	ctx, cancel := context.WithTimeout(h.Ctx, 10*time.Millisecond)
	context.AfterFunc(ctx, cancel)
	m := &mover{make(chan int), make(chan int)}
	go m.run(ctx) // CREATED cluster_shards
}

// case cluster_steady: healthy, path=/keys, flow=8
func steady(h *host.App) {
	var mu sync.Mutex
	keys := map[string]int{}
	h.Mux.HandleFunc("/keys", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		keys[r.URL.Path]++
		time.Sleep(15 * time.Millisecond)
		mu.Unlock()
		time.Sleep(300 * time.Millisecond)
		w.WriteHeader(http.StatusNoContent)
	})
}
