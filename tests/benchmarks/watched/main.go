// Watched is a service with many stuck goroutines that tells how long looking at it stalls it.
//
// usage: watched -goroutines 100000 [-more 40]; prints the port it listens at, and ends when its input does.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"sync/atomic"
	"time"
)

// pulse measures the longest time by which a millisecond's sleep was late.
type pulse struct{ worst atomic.Int64 }

func (p *pulse) beat() {
	for last := time.Now(); ; {
		time.Sleep(time.Millisecond)
		now := time.Now()
		if late := int64(now.Sub(last) - time.Millisecond); late > p.worst.Load() {
			p.worst.Store(late)
		}
		last = now
	}
}

// ServeHTTP answers the longest stall in milliseconds since it was asked last.
func (p *pulse) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "%.3f\n", float64(p.worst.Swap(0))/1e6)
}

func forget(results chan<- int) { results <- 1 }

func leak(count int) {
	for range count {
		go forget(make(chan int))
	}
}

func main() {
	count := flag.Int("goroutines", 10_000, "how many are stuck from the start")
	more := flag.Int("more", 40, "how many more each second")
	flag.Parse()
	leak(*count)
	go func() {
		for range time.Tick(time.Second / 10) {
			leak(*more / 10)
		}
	}()
	p := &pulse{}
	go p.beat()
	http.Handle("/stall", p)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() { log.Fatal(http.Serve(listener, nil)) }()
	io.Copy(io.Discard, os.Stdin)
}
