//go:build v2

package main

import (
	"fmt"
	"sync"
	"time"
)

const (
	lineLifetime = 2 * time.Second        // after it a line is rendered again
	renderTime   = 200 * time.Millisecond // what one line takes
)

// shelf recommends products, with how many are left.
type shelf struct {
	mu    sync.Mutex
	lines map[string]line
}

type line struct {
	text     string
	rendered time.Time
}

func newShelf() *shelf { return &shelf{lines: map[string]line{}} }

// recommend renders the lines that are too old, one by one.
//
// Broken on purpose: the lock is held while a line is rendered, so all
// customers wait until every line is fresh again.
func (s *shelf) recommend() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	texts := make([]string, len(products))
	for i, product := range products {
		if time.Since(s.lines[product].rendered) > lineLifetime {
			s.lines[product] = render(product)
		}
		texts[i] = s.lines[product].text
	}
	return texts
}

// render stands for a slow call to a stock keeping system.
func render(product string) line {
	time.Sleep(renderTime)
	left := 1 + time.Now().Second()%9
	return line{fmt.Sprintf("%s, %d left", product, left), time.Now()}
}
