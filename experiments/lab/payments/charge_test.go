package main

import "testing"

// TestAmountsThatDoNotAddUp: every third amount with v2, none with v1.
func TestAmountsThatDoNotAddUp(t *testing.T) {
	wrong := 0
	for cents := int64(1); cents <= 3000; cents++ {
		if sum(instalments(cents)) != cents {
			wrong++
		}
	}
	if wrong != wrongOf3000 {
		t.Errorf("%d of 3000 amounts are wrong, want %d", wrong, wrongOf3000)
	}
}
