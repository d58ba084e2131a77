// Package stock counts what is on the shelves.
package stock

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"example.com/checkout/internal/app"
)

// shelf is read by many and written by few.
type shelf struct {
	mu    sync.RWMutex
	items map[string]int
}

func (s *shelf) count(sku string) int {
	s.mu.RLock() // ROOT stock_snapshot
	defer s.mu.RUnlock()
	return s.items[sku]
}

func (s *shelf) put(sku string, n int) {
	s.mu.Lock() // ROOT stock_snapshot
	defer s.mu.Unlock()
	s.items[sku] += n
}

func (s *shelf) snapshot() map[string]int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	seen := make(map[string]int, len(s.items))
	for sku := range s.items {
		time.Sleep(20 * time.Millisecond)
		seen[sku] = s.count(sku)
	}
	return seen
}

// case stock_snapshot: rwmutex_recursive_rlock, kernel
func MountSnapshot(a *app.App) {
	s := &shelf{items: map[string]int{"chair": 3, "table": 1, "lamp": 9}}
	go s.snapshot() // CREATED stock_snapshot
	go func() {     // CREATED stock_snapshot
		time.Sleep(10 * time.Millisecond)
		s.put("chair", 2)
	}()
}

// reservation is held until it is bought or given back.
type reservation struct {
	sync.Cond
	held int
}

func (r *reservation) await() {
	r.L.Lock()
	defer r.L.Unlock()
	for r.held > 0 {
		r.Wait() // ROOT stock_reserve
	}
	r.held++
}

func (r *reservation) giveBack() {
	r.L.Lock()
	r.held--
	r.L.Unlock()
}

// case stock_reserve: cond_never_signaled, service, path=/reserve
func MountReserve(a *app.App) {
	last := &reservation{Cond: sync.Cond{L: &sync.Mutex{}}, held: 400}
	a.Mux.HandleFunc("/reserve", func(w http.ResponseWriter, r *http.Request) {
		go last.await() // CREATED stock_reserve
		time.AfterFunc(200*time.Millisecond, last.giveBack)
		fmt.Fprintln(w, "waiting")
	})
}

// bins of two aisles; a robot locks where it is and where it goes.
type bins struct {
	aisles [3]sync.Mutex
	load   [3]int
}

func (b *bins) carry(from, to int) {
	b.aisles[from].Lock()
	defer b.aisles[from].Unlock()
	time.Sleep(20 * time.Millisecond)
	b.lockTarget(to)
	defer b.aisles[to].Unlock()
	b.load[from], b.load[to] = b.load[from]-1, b.load[to]+1
}

func (b *bins) lockTarget(to int) {
	b.aisles[to].Lock() // ROOT stock_bins
}

// case stock_bins: lock_order_abba, kernel
func MountBins(a *app.App) {
	hall := &bins{}
	for robot := range 3 {
		go hall.carry(robot, (robot+1)%3) // CREATED stock_bins
	}
}

// recount counts every aisle and waits for all of them.
func recount(aisles []string) {
	var all sync.WaitGroup
	for _, aisle := range aisles {
		all.Add(1)
		go func() {
			if aisle == "" {
				return
			}
			defer all.Done()
			time.Sleep(time.Millisecond)
		}()
	}
	all.Wait() // ROOT stock_recount
}

// case stock_recount: waitgroup_never_done, service, path=/recount, visitors=55
func MountRecount(a *app.App) {
	a.Mux.HandleFunc("/recount", func(w http.ResponseWriter, r *http.Request) {
		go recount([]string{"north", "", "south"}) // CREATED stock_recount
		w.WriteHeader(http.StatusAccepted)
	})
}

// case stock_replenish: context_not_propagated, service, path=/replenish
func MountReplenish(a *app.App) {
	suppliers := &supplier{offers: make(chan int)}
	a.Mux.HandleFunc("/replenish", func(w http.ResponseWriter, r *http.Request) {
		n, err := suppliers.order(context.Background(), "chair")
		fmt.Fprintln(w, n, err)
	})
}

type supplier struct {
	offers chan int
}

func (s *supplier) order(ctx context.Context, sku string) (int, error) {
	select { // ROOT stock_replenish
	case n := <-s.offers:
		return n, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("%s: %w", sku, ctx.Err())
	}
}

// case stock_idle_pickers: healthy, path=/pick, flow=3
func MountPickers(a *app.App) {
	tasks := make(chan chan string)
	for range 200 {
		go picker(a.Ctx, tasks)
	}
	a.Mux.HandleFunc("/pick", func(w http.ResponseWriter, r *http.Request) {
		reply := make(chan string, 1)
		tasks <- reply
		fmt.Fprintln(w, <-reply)
	})
}

func picker(ctx context.Context, tasks <-chan chan string) {
	for {
		select {
		case reply := <-tasks:
			time.Sleep(50 * time.Millisecond)
			reply <- "picked"
		case <-ctx.Done():
			return
		}
	}
}
