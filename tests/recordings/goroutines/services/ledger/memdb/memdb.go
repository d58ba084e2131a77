// Package memdb is a database/sql driver of a table that is always the same.
package memdb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"time"
)

func init() { sql.Register("memdb", mem{}) }

type mem struct{}

func (mem) Open(dsn string) (driver.Conn, error) {
	delay, err := time.ParseDuration(dsn)
	return &conn{delay: delay}, err
}

type conn struct{ delay time.Duration }

func (c *conn) Prepare(string) (driver.Stmt, error) { return &stmt{c}, nil }
func (c *conn) Close() error                        { return nil }
func (c *conn) Begin() (driver.Tx, error)           { return tx{}, nil }

func (c *conn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return tx{}, nil }

func (c *conn) QueryContext(ctx context.Context, _ string, _ []driver.NamedValue) (driver.Rows, error) {
	select {
	case <-time.After(c.delay):
		return &rows{left: 3}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type tx struct{}

func (tx) Commit() error   { return nil }
func (tx) Rollback() error { return nil }

type stmt struct{ conn *conn }

func (s *stmt) Close() error  { return nil }
func (s *stmt) NumInput() int { return -1 }

func (s *stmt) Exec([]driver.Value) (driver.Result, error) {
	time.Sleep(s.conn.delay)
	return driver.RowsAffected(1), nil
}

func (s *stmt) Query([]driver.Value) (driver.Rows, error) {
	time.Sleep(s.conn.delay)
	return &rows{left: 3}, nil
}

type rows struct{ left int }

func (r *rows) Columns() []string { return []string{"id", "cents"} }
func (r *rows) Close() error      { return nil }

func (r *rows) Next(into []driver.Value) error {
	if r.left == 0 {
		return io.EOF
	}
	r.left--
	into[0], into[1] = int64(r.left), int64(100*r.left)
	return nil
}
