// Command causes is a service that is sick in one way, or healthy in the same way: causes SCENARIO.
//
// It prints its address, brings its own load, shows /debug/pprof and /metrics, and ends when its standard input does.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"slices"
	"strings"
	"time"
)

var scenarios = map[string]func(){
	"retention/sick":           func() { keepTokens(false) },
	"retention/healthy":        func() { keepTokens(true) },
	"retention/in-flight":      func() { holdDocuments() },
	"retention/buffers":        func() { poolBuffers(true) },
	"retention/buffers-in-use": func() { poolBuffers(false) },
	"cache/sick":               func() { fillCache(0, 0) },
	"cache/warming":            func() { fillCache(60_000, 60_000) },
	"cache/healthy":            func() { fillCache(2_000, 0) },
	"off-heap/sick":            func() { mapMemory() },
	"off-heap/stacks":          func() { growStacks() },
	"off-heap/healthy":         func() { churn() },
	"cpu/sick":                 func() { serveQuotes(true) },
	"cpu/healthy":              func() { serveQuotes(false) },
	"lock/sick":                func() { serveStock(8*time.Millisecond, false) },
	"lock/starved":             func() { serveStock(8*time.Millisecond, true) },
	"lock/healthy":             func() { serveStock(0, false) },
	"redis/sick":               func() { callRedis(4, 60) },
	"redis/healthy":            func() { callRedis(40, 20) },
	"db/sick":                  func() { queryDatabase(4, 40) },
	"db/healthy":               func() { queryDatabase(40, 20) },
	"dns/sick":                 func() { resolveNames(120 * time.Millisecond) },
	"dns/healthy":              func() { resolveNames(0) },
	"tls/sick":                 func() { shakeHands(350 * time.Millisecond) },
	"tls/healthy":              func() { shakeHands(0) },
	"retries/sick":             func() { callDownstream(0.7) },
	"retries/healthy":          func() { callDownstream(0.01) },
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 || scenarios[os.Args[1]] == nil {
		names := slices.Sorted(func(yield func(string) bool) {
			for name := range scenarios {
				if !yield(name) {
					return
				}
			}
		})
		log.Fatalf("usage: causes SCENARIO, one of %s", strings.Join(names, " "))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/metrics", showMetrics)
	go func() { log.Fatal(http.Serve(listener, nil)) }()
	fmt.Println(listener.Addr())
	go scenarios[os.Args[1]]()
	io.Copy(io.Discard, os.Stdin)
}

// every calls work in so many goroutines, each again and again with a pause after it.
func every(pause time.Duration, workers int, work func(n int)) {
	for worker := range workers {
		go func() {
			for n := worker; ; n += workers {
				work(n)
				time.Sleep(pause)
			}
		}()
	}
}
