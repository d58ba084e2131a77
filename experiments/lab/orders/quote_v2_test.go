//go:build v2

package main

const (
	leaksPerQuote = 1
	slotsRunOut   = true
)
