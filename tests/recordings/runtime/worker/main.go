// Command worker behaves in one named way, so that what Go's runtime says of it can be recorded.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"
)

type node struct {
	next *node
	fill [112]byte
}

var live []*node // reachable for as long as the process runs
var sink []byte

func keep(megabytes int) {
	for i := 0; i < megabytes<<20/128; i++ {
		live = append(live, &node{})
	}
}

// churn allocates about megabytes a second in small pointerful objects.
func churn(megabytes int) {
	for tick := range time.Tick(10 * time.Millisecond) {
		_ = tick
		for i := 0; i < megabytes<<20/128/100; i++ {
			live[i%len(live)] = &node{}
		}
	}
}

func steady() {
	keep(24)
	go churn(40)
	time.Sleep(1500 * time.Millisecond)
	runtime.GC()
}

// drift allocates ten times as fast as steady; GOGC in its environment is what drifted.
func drift() {
	keep(24)
	churn(400)
}

func large() {
	for {
		sink = make([]byte, 256<<10)
	}
}

// starved allocates as fast as it can over a large heap on few Ps: allocation has to help with marking.
func starved() {
	keep(96)
	for range 8 {
		go func() {
			for i := 0; ; i++ {
				live[i%len(live)] = &node{next: live[(i*7)%len(live)]}
			}
		}()
	}
}

func finalizers() {
	keep(16)
	for range 2 {
		go func() {
			for i := 0; ; i++ {
				object := &node{}
				runtime.SetFinalizer(object, func(*node) {})
				live[i%len(live)] = object
			}
		}()
	}
}

func saturated() {
	for range 40 {
		go func() {
			for i := 0; ; i++ {
			}
		}()
	}
}

func storm() {
	for range 3 {
		go func() {
			for {
				runtime.Gosched()
			}
		}()
	}
}

func blocked() {
	for range 30 {
		go func() {
			var ends [2]int
			if err := syscall.Pipe(ends[:]); err != nil {
				panic(err)
			}
			buffer := make([]byte, 1)
			syscall.Read(ends[0], buffer) // nobody ever writes
		}()
	}
	runtime.LockOSThread()
}

func main() {
	modes := map[string]func(){
		"steady": steady, "drift": drift, "large": large, "starved": starved, "finalizers": finalizers,
		"saturated": saturated, "storm": storm, "blocked": blocked,
	}
	seconds, err := strconv.ParseFloat(os.Args[2], 64)
	mode, known := modes[os.Args[1]]
	if err != nil || !known {
		fmt.Fprintln(os.Stderr, "usage: worker MODE SECONDS [CPU_PROFILE]")
		os.Exit(2)
	}
	fmt.Fprintln(os.Stderr, `{"level":"info","msg":"worker starts","mode":"`+os.Args[1]+`"}`)
	if len(os.Args) > 3 {
		profile, err := os.Create(os.Args[3])
		if err != nil {
			panic(err)
		}
		pprof.StartCPUProfile(profile)
	}
	time.AfterFunc(time.Duration(seconds*float64(time.Second)), func() {
		pprof.StopCPUProfile()
		os.Exit(0)
	})
	mode()
	select {}
}
