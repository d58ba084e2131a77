package payments

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"example.com/checkout/internal/app"
)

type account struct {
	sync.Mutex
	id    int
	cents int
}

func (a *account) withdraw(cents int) { a.cents -= cents }

func move(from, to *account, cents int) {
	from.Lock()
	defer from.Unlock()
	from.withdraw(cents)
	time.Sleep(30 * time.Millisecond)
	to.Lock() // ROOT payments_transfer
	defer to.Unlock()
	to.cents += cents
}

// case payments_transfer: lock_order_abba, service, path=/swap
func MountTransfer(a *app.App) {
	a.Mux.HandleFunc("/swap", func(w http.ResponseWriter, r *http.Request) {
		left, right := &account{id: 1, cents: 500}, &account{id: 2, cents: 500}
		go move(left, right, 20) // CREATED payments_transfer
		go move(right, left, 50) // CREATED payments_transfer
		w.WriteHeader(http.StatusAccepted)
	})
}

// rates are fetched again when they are old.
type rates struct {
	mu   sync.Mutex
	url  string
	kept string
	at   time.Time
}

func (r *rates) current() (string, error) {
	r.mu.Lock() // VICTIM payments_rates_lock
	defer r.mu.Unlock()
	if time.Since(r.at) < time.Minute {
		return r.kept, nil
	}
	return r.kept, r.fetch()
}

func (r *rates) fetch() error {
	answer, err := http.Get(r.url) // ROOT payments_rates_lock
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	r.kept, r.at = string(body), time.Now()
	return err
}

// case payments_rates_lock: mutex_held_across_io, service, path=/rates
func MountRates(a *app.App) {
	table := &rates{url: "http://" + a.Upstream + "/hang"}
	a.Mux.HandleFunc("/rates", func(w http.ResponseWriter, r *http.Request) {
		kept, err := table.current()
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, kept)
	})
}

// link is one line to the clearing house.
type link struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(address string) (*link, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &link{conn: conn, in: bufio.NewReader(conn)}, nil
}

func (l *link) settle(batch int) (string, error) {
	if _, err := fmt.Fprintf(l.conn, "SETTLE %d\n", batch); err != nil {
		return "", err
	}
	return l.in.ReadString('\n') // ROOT payments_settlement
}

// case payments_settlement: net_read_no_deadline, service, path=/settle
func MountSettlement(a *app.App) {
	a.Mux.HandleFunc("/settle", func(w http.ResponseWriter, r *http.Request) {
		house, err := dial(a.Upstream)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer house.conn.Close()
		if answer, err := house.settle(7); err == nil {
			fmt.Fprint(w, answer)
		}
	})
}
