package faults

import (
	"os"
	"runtime/debug"
	"sync"
)

// hang keeps state locked until end is called.
//
// Broken on purpose: whoever needs the lock meanwhile waits for good.
func hang(state sync.Locker) (end func()) {
	done := make(chan struct{})
	go func() {
		state.Lock()
		defer state.Unlock()
		<-done
	}()
	return func() { close(done) }
}

// burn keeps goroutines busy until end is called.
func burn(goroutines float64) (end func()) {
	done := make(chan struct{})
	for range int(goroutines) {
		go spin(done)
	}
	return func() { close(done) }
}

func spin(done <-chan struct{}) {
	for sum := uint64(0); ; {
		for i := range uint64(1 << 16) {
			sum = sum*31 + i
		}
		select {
		case <-done:
			return
		default:
		}
	}
}

// hold keeps memory that was written to (so it is resident) until end is called.
func hold(mib float64) (end func()) {
	held := make([][]byte, int(mib))
	for i := range held {
		held[i] = make([]byte, 1<<20)
		for at := 0; at < len(held[i]); at += os.Getpagesize() {
			held[i][at] = 1
		}
	}
	return func() {
		clear(held)
		go debug.FreeOSMemory()
	}
}
