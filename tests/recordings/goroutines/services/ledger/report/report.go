// Package report adds up what the journal holds.
package report

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"ledger.example.org/v2/internal/server"
	_ "ledger.example.org/v2/memdb"
)

// closing adds up the accounts of a month; each account has a goroutine.
type closing struct {
	pending sync.WaitGroup
	mu      sync.Mutex
	sums    map[string]int
}

func (c *closing) add(account string) {
	sum, err := total(account)
	if err != nil {
		return
	}
	c.mu.Lock()
	c.sums[account] = sum
	c.mu.Unlock()
	c.pending.Done()
}

func (c *closing) finish(accounts ...string) map[string]int {
	c.pending.Add(len(accounts))
	for _, account := range accounts {
		go c.add(account)
	}
	c.await()
	return c.sums
}

func (c *closing) await() { c.pending.Wait() } // ROOT report_close

func total(account string) (int, error) {
	if strings.HasPrefix(account, "old") {
		return 0, errors.New("archived")
	}
	return len(account), nil
}

// case report_close: waitgroup_never_done, service, path=/close
func MountClose(a *server.App) {
	a.Mux.HandleFunc("/close", func(w http.ResponseWriter, r *http.Request) {
		month := &closing{sums: map[string]int{}}
		fmt.Fprintln(w, month.finish("cash", "bank", "old-bank"))
	})
}

// cache keeps what reports are made of.
type cache[K comparable, V any] struct {
	mu   sync.RWMutex
	kept map[K]V
}

func (c *cache[K, V]) get(key K) (V, bool) {
	c.mu.RLock() // ROOT report_cache
	found, known := c.kept[key]
	if !known {
		return found, false
	}
	c.mu.RUnlock()
	return found, true
}

func (c *cache[K, V]) put(key K, value V) {
	c.mu.Lock() // ROOT report_cache
	defer c.mu.Unlock()
	c.kept[key] = value
}

// case report_cache: mutex_missing_unlock, service, path=/yearly
func MountCache(a *server.App) {
	years := &cache[int, string]{kept: map[int]string{}}
	a.Mux.HandleFunc("/yearly", func(w http.ResponseWriter, r *http.Request) {
		if _, known := years.get(2024); !known {
			go years.put(2024, "a report")
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

// cursor walks through a report page by page.
type cursor struct {
	tx   *sql.Tx
	page int
}

func openCursor(ctx context.Context, db *sql.DB) (*cursor, error) {
	tx, err := db.BeginTx(ctx, nil) // ROOT report_cursor
	return &cursor{tx: tx}, err
}

// case report_cursor: db_tx_or_rows_not_closed, service, path=/pages, absent=database/sql.(*Tx).awaitDone
func MountCursor(a *server.App) {
	db, _ := sql.Open("memdb", "1ms")
	cursors := sync.Map{}
	a.Mux.HandleFunc("/pages", func(w http.ResponseWriter, r *http.Request) {
		c, err := openCursor(context.WithValue(a.Ctx, &cursors, r), db)
		if err == nil {
			cursors.Store(fmt.Sprintf("%p", c), c)
		}
	})
}

// case report_shards: chan_recv_no_sender, service, path=/shards, workers=100
func MountShards(a *server.App) {
	a.Mux.HandleFunc("/shards", func(w http.ResponseWriter, r *http.Request) {
		total, err := sumShards([]string{"eu", "us", "old-ap"})
		fmt.Fprintln(w, total, err)
	})
}

func sumShards(names []string) (sum int, err error) {
	sums := make(chan int, len(names))
	for _, name := range names {
		go func() {
			if one, err := total(name); err == nil {
				sums <- one
			}
		}()
	}
	for range names {
		sum += <-sums // ROOT report_shards
	}
	return sum, nil
}

// periods are locked one after the other while a booking moves.
type period struct {
	name string
	sync.RWMutex
}

func shift(from, to *period, between func()) {
	from.Lock()
	defer from.Unlock()
	between()
	to.Lock() // ROOT report_period_locks
	to.Unlock()
}

func audit(of, against *period) {
	of.RLock()
	defer of.RUnlock()
	time.Sleep(20 * time.Millisecond)
	against.RLock() // ROOT report_period_locks
	defer against.RUnlock()
}

// case report_period_locks: lock_order_abba, kernel, workers=60
func MountPeriods(a *server.App) {
	may, june := &period{name: "may"}, &period{name: "june"}
	go shift(may, june, func() { time.Sleep(10 * time.Millisecond) }) // CREATED report_period_locks
	go audit(june, may)                                               // CREATED report_period_locks
}

// stampede has a lock for each report; a panic in between is caught further out.
type stampede struct {
	lock sync.Mutex
	made map[string]string
}

func (s *stampede) render(name string) (page string, err error) {
	defer func() {
		if caught := recover(); caught != nil {
			err = fmt.Errorf("render %s: %v", name, caught)
		}
	}()
	s.lock.Lock() // ROOT report_stampede
	page = strings.Repeat(name, 3)[:len(name)*4]
	s.made[name] = page
	s.lock.Unlock()
	return page, nil
}

// case report_stampede: mutex_missing_unlock, service, path=/render
func MountStampede(a *server.App) {
	s := &stampede{made: map[string]string{}}
	a.Mux.HandleFunc("/render", func(w http.ResponseWriter, r *http.Request) {
		page, err := s.render("balance")
		fmt.Fprintln(w, page, err)
	})
}

// case report_burst: healthy, path=/batch, client=patient, n=20,20, again
func MountBurst(a *server.App) {
	a.Mux.HandleFunc("/batch", func(w http.ResponseWriter, r *http.Request) {
		var group sync.WaitGroup
		for i := range 5 {
			group.Go(func() {
				select {
				case <-time.After(20*time.Second + time.Duration(i)*time.Second):
				case <-r.Context().Done():
				}
			})
		}
		group.Wait()
	})
}

// settings are read once; their defaults need settings.
type settings struct {
	load   sync.Once
	values map[string]string
}

func (s *settings) get(key string) string {
	s.load.Do(s.read) // ROOT report_once
	return s.values[key]
}

func (s *settings) read() {
	s.values = map[string]string{"currency": "EUR"}
	s.values["locale"] = s.get("currency") + "/de"
}

// case report_once: once_reentered, kernel
func MountOnce(a *server.App) {
	s := &settings{}
	go func() { // CREATED report_once
		fmt.Println(s.get("locale"))
	}()
}

// session keeps a transaction open between two requests of a user.
type session struct {
	begin func(context.Context) (*sql.Tx, error)
	tx    *sql.Tx
}

func (s *session) ensure(ctx context.Context) error {
	var err error
	if s.tx == nil {
		s.tx, err = s.begin(ctx) // ROOT report_session
	}
	return err
}

// case report_session: db_pool_exhausted, service, path=/draft
func MountSession(a *server.App) {
	db, _ := sql.Open("memdb", "3ms")
	db.SetMaxOpenConns(6)
	begin := func(ctx context.Context) (*sql.Tx, error) { return db.BeginTx(ctx, nil) }
	a.Mux.HandleFunc("/draft", func(w http.ResponseWriter, r *http.Request) {
		draft := &session{begin: begin}
		if err := draft.ensure(context.WithoutCancel(r.Context())); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}
