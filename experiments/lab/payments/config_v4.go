//go:build v4

package main

// limits returns the largest charge, in cents, by currency: v4 takes dollars, too.
//
// Broken on purpose: nobody makes the map, so the process panics at its start.
func limits() map[string]int64 {
	var most map[string]int64
	for _, name := range []string{currency, "USD"} {
		most[name] = maxCents
	}
	return most
}
