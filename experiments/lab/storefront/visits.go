package main

import (
	"context"
	"sync"
)

// visits counts the visits since the start.
type visits struct {
	mu    sync.Mutex
	count int64
}

// enter counts one visit and returns its number.
func (v *visits) enter(ctx context.Context) (int64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err // the wait for the lock took too long
	}
	v.count++
	return v.count, nil
}

// check returns if the door is free.
func (v *visits) check() {
	v.mu.Lock()
	defer v.mu.Unlock()
}
