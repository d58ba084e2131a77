// Package journal keeps the bookings.
package journal

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	"ledger.example.org/v2/internal/server"
	_ "ledger.example.org/v2/memdb"
)

func open(delay string, most int) *sql.DB {
	db, err := sql.Open("memdb", delay)
	if err != nil {
		panic(err)
	}
	db.SetMaxOpenConns(most)
	return db
}

// books answers what an account holds.
type books struct{ *sql.DB }

func (b books) balance(account string) (cents int64, err error) {
	found, err := b.Query("SELECT id, cents FROM bookings WHERE account = ?", account) // ROOT journal_balance
	if err != nil {
		return 0, err
	}
	var id int64
	if found.Next() {
		return cents, found.Scan(&id, &cents)
	}
	return 0, sql.ErrNoRows
}

// case journal_balance: db_pool_exhausted, service, path=/balance
func MountBalance(a *server.App) {
	b := books{open("1ms", 5)}
	a.Mux.HandleFunc("/balance", func(w http.ResponseWriter, r *http.Request) {
		cents, err := b.balance(r.FormValue("account"))
		fmt.Fprintln(w, cents, err)
	})
}

var errUnbalanced = errors.New("debit and credit differ")

type posting struct {
	debit, credit int
}

func (p posting) book(db *sql.DB) error {
	tx, err := db.Begin() // ROOT journal_post
	if err != nil {
		return err
	}
	if p.debit != p.credit {
		return errUnbalanced
	}
	if _, err := tx.Exec("INSERT INTO bookings VALUES (?, ?)", p.debit, p.credit); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// case journal_post: db_pool_exhausted, service, path=/post
func MountPost(a *server.App) {
	db := open("1ms", 3)
	a.Mux.HandleFunc("/post", func(w http.ResponseWriter, r *http.Request) {
		go func() { // CREATED journal_post
			if err := (posting{debit: 5, credit: 4}).book(db); err != nil {
				fmt.Println(err)
			}
		}()
		w.WriteHeader(http.StatusAccepted)
	})
}

func pinned(ctx context.Context, db *sql.DB, work func(*sql.Conn) error) error {
	conn, err := db.Conn(ctx) // ROOT journal_pinned
	if err != nil {
		return err
	}
	if err := work(conn); err != nil {
		return err
	}
	return conn.Close()
}

// case journal_pinned: db_pool_exhausted, service, path=/lock
func MountPinned(a *server.App) {
	db := open("1ms", 4)
	a.Mux.HandleFunc("/lock", func(w http.ResponseWriter, r *http.Request) {
		err := pinned(a.Ctx, db, func(*sql.Conn) error { return errors.New("the advisory lock is taken") })
		fmt.Fprintln(w, err)
	})
}

// case journal_void: db_tx_or_rows_not_closed, service, path=/void, absent=database/sql.(*Tx).awaitDone, workers=120
func MountVoid(a *server.App) {
	db := open("1ms", 0)
	a.Mux.HandleFunc("/void", func(w http.ResponseWriter, r *http.Request) {
		tx, err := db.BeginTx(a.Ctx, &sql.TxOptions{ReadOnly: false}) // ROOT journal_void
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if r.FormValue("booking") == "" {
			http.Error(w, "which booking?", http.StatusBadRequest)
			return
		}
		if _, err := tx.Exec("DELETE FROM bookings WHERE id = ?", r.FormValue("booking")); err == nil {
			_ = tx.Commit()
		}
	})
}

type history struct {
	db  *sql.DB
	ctx context.Context
}

func (h *history) latest(account string) (int64, error) {
	found, err := h.db.QueryContext(h.ctx, "SELECT id, cents FROM bookings WHERE account = ? ORDER BY at", account) // ROOT journal_history
	if err != nil {
		return 0, err
	}
	for found.Next() {
		var id, cents int64
		if err := found.Scan(&id, &cents); err != nil || id == 2 {
			return cents, err
		}
	}
	return 0, found.Close()
}

// case journal_history: db_tx_or_rows_not_closed, service, path=/latest, absent=database/sql.(*Rows).awaitDone
func MountHistory(a *server.App) {
	h := &history{open("1ms", 0), a.Ctx}
	a.Mux.HandleFunc("/latest", func(w http.ResponseWriter, r *http.Request) {
		cents, err := h.latest("cash")
		fmt.Fprintln(w, cents, err)
	})
}

// case journal_search: db_tx_or_rows_not_closed, service, path=/search, absent=database/sql.(*Rows).awaitDone
func MountSearch(a *server.App) {
	db := open("2ms", 500)
	find, err := db.Prepare("SELECT id, cents FROM bookings WHERE text LIKE ?")
	if err != nil {
		panic(err)
	}
	a.Mux.HandleFunc("/search", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(a.Ctx, 20*time.Minute)
		hits, err := find.QueryContext(ctx, "%"+r.FormValue("q")+"%") // ROOT journal_search
		if err != nil {
			cancel()
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(w, "found:", hits.Next())
	})
}

// case journal_busy_pool: healthy, path=/statement, flow=14
func MountBusy(a *server.App) {
	db := open("350ms", 16)
	db.SetMaxIdleConns(16)
	a.Mux.HandleFunc("/statement", func(w http.ResponseWriter, r *http.Request) {
		found, err := db.QueryContext(r.Context(), "SELECT id, cents FROM bookings")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer found.Close()
		for found.Next() {
			fmt.Fprintln(w, "booking")
		}
	})
}
