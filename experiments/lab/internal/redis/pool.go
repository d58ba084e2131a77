package redis

import (
	"container/list"
	"context"
	"sync"
)

// pool bounds the connections that are in use at once, and keeps those that
// are not. Who has to wait for one is served in turn.
type pool struct {
	mu      sync.Mutex
	size    int
	inUse   int // with those in idle never more than size, but after a resize
	idle    []*conn
	waiting list.List // of chan *conn
}

// take takes a place in the pool and the connection that is open there, if one
// is, else nil. give gives both back. It fails with ctx.
func (p *pool) take(ctx context.Context) (*conn, error) {
	turn := make(chan *conn, 1)
	p.mu.Lock()
	place := p.waiting.PushBack(turn)
	p.serve()
	p.mu.Unlock()
	select {
	case cn := <-turn:
		return cn, nil
	case <-ctx.Done():
		p.leave(place, turn)
		return nil, ctx.Err()
	}
}

// leave gives up waiting; if the turn came just then, the next one has it.
func (p *pool) leave(place *list.Element, turn <-chan *conn) {
	p.mu.Lock()
	p.waiting.Remove(place) // nothing happens if it was served
	p.mu.Unlock()
	select {
	case cn := <-turn:
		p.give(cn)
	default:
	}
}

// give gives back a place, with its connection unless that broke.
func (p *pool) give(cn *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inUse--
	if cn != nil {
		p.idle = append(p.idle, cn)
	}
	p.serve()
}

// serve gives the free places to those who have waited longest, and closes the
// connections that there is no place for.
func (p *pool) serve() {
	for p.inUse < p.size && p.waiting.Len() > 0 {
		p.inUse++
		p.waiting.Remove(p.waiting.Front()).(chan *conn) <- p.pop()
	}
	for len(p.idle) > max(0, p.size-p.inUse) {
		p.pop().Close()
	}
}

// pop returns the connection that was used last, nil if all are in use.
func (p *pool) pop() (cn *conn) {
	if last := len(p.idle) - 1; last >= 0 {
		cn, p.idle = p.idle[last], p.idle[:last]
	}
	return cn
}

// resize changes how many places there are. Those in use stay so until they
// are given back.
func (p *pool) resize(size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.size = size
	p.serve()
}

func (p *pool) closeIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		p.pop().Close()
	}
}

func (p *pool) usage() (size, inUse int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.size, p.inUse
}
