package main

import (
	"context"
	"sync"
)

// till adds up what was charged since the start.
type till struct {
	mu         sync.Mutex
	charges    int64
	totalCents int64
}

// take books one charge and returns its number.
func (t *till) take(ctx context.Context, cents int64) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err // the wait for the lock took too long
	}
	t.charges++
	t.totalCents += cents
	return t.charges, nil
}

// check returns if the till can be opened.
func (t *till) check() {
	t.mu.Lock()
	defer t.mu.Unlock()
}
