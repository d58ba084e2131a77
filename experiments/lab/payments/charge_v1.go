//go:build !v2

package main

// instalments returns what is charged, in cents: v1 charges all at once.
func instalments(cents int64) []int64 { return []int64{cents} }
