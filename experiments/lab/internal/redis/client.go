// Package redis is a minimal Redis client: RESP2, pipelines and a small
// connection pool. Every call ends by its context or after opTimeout.
package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

const (
	dialTimeout = 200 * time.Millisecond
	opTimeout   = 300 * time.Millisecond
	poolSize    = 16
)

// Command is a command with its arguments.
type Command []string

// Client talks to one server. It is safe for concurrent use.
type Client struct {
	addr  string
	slots chan struct{} // bounds the open connections
	idle  chan *conn
}

type conn struct {
	net.Conn
	in *bufio.Reader
}

// New returns a client; it connects on first use.
func New(addr string) *Client {
	return &Client{
		addr:  addr,
		slots: make(chan struct{}, poolSize),
		idle:  make(chan *conn, poolSize),
	}
}

// Close closes the idle connections.
func (c *Client) Close() {
	for {
		select {
		case cn := <-c.idle:
			cn.Close()
		default:
			return
		}
	}
}

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
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("redis: waiting for a connection: %w", ctx.Err())
	}
	defer func() { <-c.slots }()

	replies, err := c.attempt(ctx, commands)
	if err != nil {
		return nil, fmt.Errorf("redis %s: %w", commands[0][0], err)
	}
	return replies, firstError(replies)
}

// attempt uses an idle connection if there is one. The server may have closed
// it meanwhile (restart), so then a failure gets a second try on a new one.
func (c *Client) attempt(ctx context.Context, commands []Command) ([]any, error) {
	select {
	case cn := <-c.idle:
		replies, err := c.exchange(ctx, cn, commands)
		if err == nil || ctx.Err() != nil {
			return replies, err
		}
	default:
	}
	cn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	return c.exchange(ctx, cn, commands)
}

func (c *Client) dial(ctx context.Context) (*conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	nc, err := d.DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: nc, in: bufio.NewReader(nc)}, nil
}

// exchange owns cn: it goes back to the pool only after a whole exchange.
func (c *Client) exchange(ctx context.Context, cn *conn, commands []Command) ([]any, error) {
	deadline, _ := ctx.Deadline()
	cn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { cn.SetDeadline(time.Unix(1, 0)) })

	replies, err := cn.roundTrip(commands)
	if interrupted := !stop(); err != nil || interrupted {
		cn.Close()
		return replies, errors.Join(err, ctx.Err())
	}
	c.idle <- cn // never blocks: slots bounds the connections
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
