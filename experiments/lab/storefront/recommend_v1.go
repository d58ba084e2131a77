//go:build !v2

package main

// shelf recommends products.
type shelf struct{ lines []string }

func newShelf() *shelf { return &shelf{lines: products} }

// recommend returns the same lines for everybody: v1 renders them once.
func (s *shelf) recommend() []string { return s.lines }
