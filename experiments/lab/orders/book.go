package main

import (
	"context"
	"net/http"
	"sync"

	"lab/internal/service"
)

// maxOpenOrders is how many orders one customer may have in progress.
const maxOpenOrders = 20

// book knows how many orders each customer has in progress.
type book struct {
	mu         sync.Mutex
	inProgress map[string]int
}

func newBook() *book { return &book{inProgress: map[string]int{}} }

// open enters an order; each one must be closed.
func (b *book) open(ctx context.Context, customer string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err // the wait for the lock took too long
	}
	if b.inProgress[customer] >= maxOpenOrders {
		return service.Fail(http.StatusTooManyRequests, "%s has too many orders in progress.", customer)
	}
	b.inProgress[customer]++
	return nil
}

func (b *book) close(customer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inProgress[customer]--; b.inProgress[customer] == 0 {
		delete(b.inProgress, customer)
	}
}

// check returns if the book can be opened.
func (b *book) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
}
