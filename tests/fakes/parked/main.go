// Command parked holds many goroutines and tells how long it was held up at most since it was last asked.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"sync/atomic"
	"time"
)

var heldUp atomic.Int64 // microseconds

// park waits for ever below as many frames as a request has.
func park(wait <-chan struct{}, frames int) {
	if frames > 0 {
		park(wait, frames-1)
		return
	}
	<-wait
}

// watch sleeps for a millisecond over and over; what is longer than that held everything up.
func watch() {
	for last := time.Now(); ; {
		time.Sleep(time.Millisecond)
		now := time.Now()
		if late := now.Sub(last).Microseconds() - 1000; late > heldUp.Load() {
			heldUp.Store(late)
		}
		last = now
	}
}

func main() {
	count := flag.Int("n", 1000, "how many goroutines are parked")
	more := flag.Int("more", 0, "how many more each second")
	lost := flag.Bool("lost", false, "each waits on a channel that nobody else knows")
	flag.Parse()
	wait := make(chan struct{})
	start := func() {
		if *lost {
			go park(make(chan struct{}), 12)
		} else {
			go park(wait, 12)
		}
	}
	for range *count {
		start()
	}
	go func() {
		for range time.Tick(time.Second / 10) {
			for range *more / 10 {
				start()
			}
		}
	}()
	go watch()
	http.HandleFunc("/held_up", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, heldUp.Swap(0)) })
	http.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "go_goroutines %d\n", *count) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	go func() { _, _ = os.Stdin.Read(make([]byte, 1)); os.Exit(0) }() // ends with whoever started it
	log.Fatal(http.Serve(listener, nil))
}
