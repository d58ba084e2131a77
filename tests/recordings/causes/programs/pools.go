package main

import (
	"bufio"
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io"
	"net"
	"time"
)

// callRedis uses a pool of so many connections to a server that takes 15 ms, from so many goroutines.
func callRedis(size, callers int) {
	address := listen(func(conn net.Conn) {
		lines := bufio.NewReader(conn)
		for {
			if _, err := lines.ReadString('\n'); err != nil {
				return
			}
			time.Sleep(15 * time.Millisecond)
			conn.Write([]byte("+PONG\r\n"))
		}
	})
	pool := make(chan net.Conn, size)
	for range size {
		pool <- dial(address)
	}
	gauge(func(w io.Writer) {
		fmt.Fprintf(w, "redis_pool_size %d\nredis_pool_conn_total_current %d\n", size, size)
		fmt.Fprintf(w, "redis_pool_conn_idle_current %d\n", len(pool))
	})
	every(2*time.Millisecond, callers, func(int) {
		began := time.Now()
		if !ping(pool) {
			count("redis_pool_timeout_total", 1)
		}
		observe("redis_command_duration_seconds", time.Since(began))
	})
}

func ping(pool chan net.Conn) bool {
	var conn net.Conn
	select {
	case conn = <-pool:
	case <-time.After(2 * time.Second):
		return false
	}
	defer func() { pool <- conn }()
	conn.Write([]byte("PING\r\n"))
	_, err := bufio.NewReader(conn).ReadString('\n')
	return err == nil
}

// queryDatabase runs queries of 15 ms through database/sql with so many connections, from so many goroutines.
func queryDatabase(size, callers int) {
	sql.Register("slow", slow{})
	db, _ := sql.Open("slow", "")
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	gauge(func(w io.Writer) {
		s := db.Stats()
		fmt.Fprintf(w, "go_sql_max_open_connections{db_name=\"main\"} %d\n", s.MaxOpenConnections)
		fmt.Fprintf(w, "go_sql_open_connections{db_name=\"main\"} %d\n", s.OpenConnections)
		fmt.Fprintf(w, "go_sql_in_use_connections{db_name=\"main\"} %d\n", s.InUse)
		fmt.Fprintf(w, "go_sql_idle_connections{db_name=\"main\"} %d\n", s.Idle)
		fmt.Fprintf(w, "go_sql_wait_count_total{db_name=\"main\"} %d\n", s.WaitCount)
		fmt.Fprintf(w, "go_sql_wait_duration_seconds_total{db_name=\"main\"} %g\n", s.WaitDuration.Seconds())
	})
	every(2*time.Millisecond, callers, func(int) { load(db) })
}

func load(db *sql.DB) {
	began := time.Now()
	db.ExecContext(context.Background(), "select 1")
	observe("db_query_duration_seconds", time.Since(began))
}

type slow struct{}

func (slow) Open(string) (driver.Conn, error)          { return slow{}, nil }
func (slow) Prepare(string) (driver.Stmt, error)       { return slow{}, nil }
func (slow) Begin() (driver.Tx, error)                 { return nil, driver.ErrSkip }
func (slow) Close() error                              { return nil }
func (slow) NumInput() int                             { return 0 }
func (slow) Query([]driver.Value) (driver.Rows, error) { return nil, driver.ErrSkip }

func (slow) Exec([]driver.Value) (driver.Result, error) {
	time.Sleep(15 * time.Millisecond)
	return driver.RowsAffected(1), nil
}
