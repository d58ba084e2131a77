//go:build v4

package main

import "testing"

func TestV4PanicsAtItsStart(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	limits()
}
