//go:build !v4

package main

// limits returns the largest charge, in cents, by currency.
func limits() map[string]int64 { return map[string]int64{currency: maxCents} }
