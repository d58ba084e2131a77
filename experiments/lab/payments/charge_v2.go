//go:build v2

package main

// instalments returns what is charged, in cents: v2 lets customers pay in three.
//
// Broken on purpose: up to two cents are left over, but only one is given to
// the first instalment, so every third amount does not add up.
func instalments(cents int64) []int64 {
	third := cents / 3
	first := third
	if cents%3 != 0 {
		first++
	}
	return []int64{first, third, third}
}
