//go:build !v4

package main

import "testing"

func TestLimitIsKnown(t *testing.T) {
	if limits()[currency] != maxCents {
		t.Errorf("got %v", limits())
	}
}
