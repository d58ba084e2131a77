//go:build !v2

package main

const (
	leaksPerQuote = 0
	slotsRunOut   = false
)
