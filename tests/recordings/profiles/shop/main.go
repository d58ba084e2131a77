// Shop does work that shows in each of the runtime's profiles, and writes those into the directory it is given.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sort"
	"strings"
	"sync"
	"time"
)

var (
	sink  []byte
	carts = map[int]*cart{}
)

type cart struct {
	note  []byte
	items []string
}

func main() {
	runtime.MemProfileRate = 512
	runtime.SetMutexProfileFraction(1)
	runtime.SetBlockProfileRate(1)
	dir := os.Args[1]

	fill(200)
	write(dir, "heap.earlier", "heap")
	lockAndWait(3)
	write(dir, "mutex.earlier", "mutex")
	write(dir, "block.earlier", "block")
	cpu(dir, "cpu.baseline", func() { serve(false) })

	fill(800)
	lockAndWait(12)
	cpu(dir, "cpu", func() { serve(true) })
	runtime.GC()
	for _, name := range []string{"heap", "allocs", "mutex", "block", "threadcreate"} {
		write(dir, name, name)
	}

	wait()
	write(dir, "goroutine", "goroutine")
	write(dir, "goroutineleak", "goroutineleak")
	text(dir, "goroutine.debug2.txt")
}

// ---- CPU: one hot function, one that is inlined into it, one that is called through a generic.

func cpu(dir, name string, work func()) {
	file, err := os.Create(filepath.Join(dir, name+".pb.gz"))
	check(err)
	check(pprof.StartCPUProfile(file))
	pprof.Do(context.Background(), pprof.Labels("route", "/orders"), func(context.Context) { work() })
	pprof.StopCPUProfile()
	check(file.Close())
}

func serve(slow bool) {
	for until := time.Now().Add(700 * time.Millisecond); time.Now().Before(until); {
		price(60000)
		total(map[string]int{"a": 1, "b": 2, "c": 3})
		if slow {
			render(400)
		}
		sum := sha256.Sum256(sink)
		sink = append(sink[:0], sum[:]...)
	}
}

func price(n int) (found int) {
	for i := range n {
		found += discount(i) * rebate(i)
	}
	return found
}

func discount(i int) int { return rebate(i*7) % 13 }

func rebate(i int) int { return (i ^ i>>3) % 11 }

func total[K comparable](prices map[K]int) (found int) {
	for _, price := range prices {
		found += price
	}
	return found
}

func render(n int) string {
	words := strings.Fields(strings.Repeat("order of the day ", n))
	sort.Strings(words)
	return strings.Join(words, ",")
}

// ---- Memory: kept, and given back.

func fill(n int) {
	for i := range n {
		carts[len(carts)] = newCart(i)
	}
	for range n {
		sink = bytes.Repeat([]byte("x"), 3000)
	}
}

func newCart(i int) *cart {
	return &cart{note: make([]byte, 1000+i%7), items: strings.Split("a,b,c,d", ",")}
}

// ---- Locks and waits.

func lockAndWait(n int) {
	var mutex sync.Mutex
	var group sync.WaitGroup
	done := make(chan int)
	for range 4 {
		group.Go(func() {
			for range n {
				mutex.Lock()
				time.Sleep(time.Millisecond)
				mutex.Unlock()
			}
			done <- n
		})
	}
	for range 4 {
		<-done
	}
	group.Wait()
}

// ---- Goroutines in every way to wait, some of them for ever.

func wait() {
	var mutex sync.Mutex
	var readers sync.RWMutex
	var group sync.WaitGroup
	mutex.Lock()
	readers.Lock()
	group.Add(1)
	held := make(chan int)
	for i := range 6 {
		labels := pprof.Labels("order", fmt.Sprint(i), "tenant", "t1")
		pprof.Do(context.Background(), labels, func(context.Context) { go send(held) })
	}
	for range 5 {
		go send(make(chan int))
	}
	reader, writer, err := os.Pipe()
	check(err)
	keep = append(keep, &mutex, &readers, &group, held, reader, writer)
	for _, begin := range []func(){
		func() { receive(held) },
		func() { choose(held, make(chan int)) },
		func() { mutex.Lock() },
		func() { readers.RLock() },
		func() { readers.Lock() },
		func() { group.Wait() },
		func() { signalled(&mutex) },
		func() { time.Sleep(time.Hour) },
		func() { select {} },
		func() { var none chan int; <-none },
		func() { reader.Read(make([]byte, 1)) },
		func() { ranged(held) },
		busy,
	} {
		go begin()
	}
	time.Sleep(300 * time.Millisecond)
}

var keep []any

func send(to chan int)      { to <- 1 }
func receive(from chan int) { <-from }

func ranged(from chan int) {
	for range from {
		runtime.Gosched()
	}
}

func choose(one, other chan int) {
	select {
	case <-one:
	case other <- 1:
	}
}

func signalled(mutex *sync.Mutex) {
	cond := sync.NewCond(&sync.Mutex{})
	cond.L.Lock()
	cond.Wait()
	mutex.Unlock()
}

func busy() {
	for {
		runtime.Gosched()
	}
}

// ---- Files.

func write(dir, name, profile string) {
	file, err := os.Create(filepath.Join(dir, name+".pb.gz"))
	check(err)
	check(pprof.Lookup(profile).WriteTo(file, 0))
	check(file.Close())
}

func text(dir, name string) {
	file, err := os.Create(filepath.Join(dir, name))
	check(err)
	check(pprof.Lookup("goroutine").WriteTo(file, 2))
	check(file.Close())
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
