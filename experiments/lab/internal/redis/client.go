// Package redis is a minimal Redis client: RESP2, pipelines and a connection
// pool. Every call ends by its context or after the client's timeout.
package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"lab/internal/metrics"
)

const dialTimeout = 200 * time.Millisecond

// Timeout is how long a call of a new client takes at most, the wait for a
// connection included.
const Timeout = 300 * time.Millisecond

// PoolSize is how many connections a new client may use at once.
const PoolSize = 16

// Command is a command with its arguments.
type Command []string

// Client talks to one server. It is safe for concurrent use.
type Client struct {
	addr    string
	pool    *pool
	seen    instruments
	timeout atomic.Int64 // nanoseconds
}

type conn struct {
	net.Conn
	in *bufio.Reader
}

// New returns a client; it connects on first use.
func New(r *metrics.Registry, addr string) *Client {
	p := &pool{size: PoolSize}
	c := &Client{addr: addr, pool: p, seen: newInstruments(r, p)}
	c.timeout.Store(int64(Timeout))
	return c
}

// Resize changes how many connections may be in use at once.
func (c *Client) Resize(size int64) { c.pool.resize(int(size)) }

// GiveUpAfter changes how many milliseconds calls take at most, from the next
// one on.
func (c *Client) GiveUpAfter(ms int64) { c.timeout.Store(ms * int64(time.Millisecond)) }

func (c *Client) atMost() time.Duration { return time.Duration(c.timeout.Load()) }

// Close closes the idle connections.
func (c *Client) Close() { c.pool.closeIdle() }

// Do sends one command and returns its reply: string, int64, nil or []any.
func (c *Client) Do(ctx context.Context, args ...string) (any, error) {
	replies, err := c.Pipeline(ctx, args)
	if err != nil {
		return nil, err
	}
	return replies[0], nil
}

// Pipeline sends the commands in one write and returns their replies.
// The first error reply of the server, if any, is returned as the error.
func (c *Client) Pipeline(ctx context.Context, commands ...Command) ([]any, error) {
	started := time.Now()
	defer func() { c.seen.commands.Observe(time.Since(started)) }()
	ctx, cancel := context.WithTimeout(ctx, c.atMost())
	defer cancel()
	cn, err := c.take(ctx)
	if err != nil {
		return nil, err
	}
	return c.run(ctx, cn, commands)
}

// Block waits for an element of the list key, and has a connection to itself
// for so long: up to timeout and what such a call takes.
func (c *Client) Block(ctx context.Context, key string, timeout time.Duration) error {
	wait, cancel := context.WithTimeout(ctx, c.atMost())
	defer cancel()
	cn, err := c.take(wait)
	if err != nil {
		return err
	}
	ctx, end := context.WithTimeout(ctx, timeout+c.atMost())
	defer end()
	_, err = c.run(ctx, cn, []Command{{"BLPOP", key, fmt.Sprintf("%.3f", timeout.Seconds())}})
	return err
}

// take waits for a place in the pool.
func (c *Client) take(ctx context.Context) (*conn, error) {
	started := time.Now()
	cn, err := c.pool.take(ctx)
	c.seen.waits.Observe(time.Since(started))
	if err != nil {
		c.seen.timeouts.Inc()
		return nil, fmt.Errorf("redis: waiting for a connection: %w", err)
	}
	return cn, nil
}

// run gives back the place in the pool that cn belongs to.
func (c *Client) run(ctx context.Context, cn *conn, commands []Command) ([]any, error) {
	cn, replies, err := c.attempt(ctx, cn, commands)
	c.pool.give(cn)
	if err != nil {
		return nil, fmt.Errorf("redis %s: %w", commands[0][0], err)
	}
	return replies, firstError(replies)
}

// attempt uses cn if there is one. The server may have closed it meanwhile
// (restart), so then a failure gets a second try on a new one. It returns the
// connection if that can be used again.
func (c *Client) attempt(ctx context.Context, cn *conn, commands []Command) (*conn, []any, error) {
	if cn != nil {
		replies, err := exchange(ctx, cn, commands)
		if err == nil {
			return cn, replies, nil
		}
		if ctx.Err() != nil {
			return nil, nil, err
		}
	}
	cn, err := c.dial(ctx)
	if err != nil {
		return nil, nil, err
	}
	replies, err := exchange(ctx, cn, commands)
	if err != nil {
		return nil, nil, err
	}
	return cn, replies, nil
}

func (c *Client) dial(ctx context.Context) (*conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	nc, err := d.DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: nc, in: bufio.NewReader(nc)}, nil
}

// exchange closes cn unless the exchange was whole.
func exchange(ctx context.Context, cn *conn, commands []Command) ([]any, error) {
	deadline, _ := ctx.Deadline()
	cn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { cn.SetDeadline(time.Unix(1, 0)) })

	replies, err := cn.roundTrip(commands)
	if interrupted := !stop(); err != nil || interrupted {
		cn.Close()
		return nil, errors.Join(err, ctx.Err())
	}
	return replies, nil
}

func (cn *conn) roundTrip(commands []Command) ([]any, error) {
	var out []byte
	for _, command := range commands {
		out = appendCommand(out, command)
	}
	if _, err := cn.Write(out); err != nil {
		return nil, err
	}
	replies := make([]any, len(commands))
	for i := range replies {
		reply, err := readReply(cn.in)
		if err != nil {
			return nil, err
		}
		replies[i] = reply
	}
	return replies, nil
}

func firstError(replies []any) error {
	for _, reply := range replies {
		if err, ok := reply.(Error); ok {
			return err
		}
	}
	return nil
}
