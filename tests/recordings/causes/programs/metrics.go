package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// The names are those of client_golang and of the exporters that people use with it.
var (
	lock      sync.Mutex
	counters  = map[string]float64{}
	histories = map[string]*histogram{}
	gauges    []func(w io.Writer)
	bounds    = []float64{0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}
)

type histogram struct {
	buckets []float64
	sum     float64
	count   float64
}

func count(series string, by float64) {
	lock.Lock()
	defer lock.Unlock()
	counters[series] += by
}

func observe(name string, took time.Duration) {
	lock.Lock()
	defer lock.Unlock()
	h := histories[name]
	if h == nil {
		h = &histogram{buckets: make([]float64, len(bounds))}
		histories[name] = h
	}
	for i, bound := range bounds {
		if took.Seconds() <= bound {
			h.buckets[i]++
		}
	}
	h.sum += took.Seconds()
	h.count++
}

func gauge(show func(w io.Writer)) {
	lock.Lock()
	defer lock.Unlock()
	gauges = append(gauges, show)
}

func showMetrics(w http.ResponseWriter, _ *http.Request) {
	showRuntime(w)
	lock.Lock()
	defer lock.Unlock()
	for _, show := range gauges {
		show(w)
	}
	names := make([]string, 0, len(counters))
	for name := range counters {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(w, "%s %g\n", name, counters[name])
	}
	for name, h := range histories {
		for i, bound := range bounds {
			fmt.Fprintf(w, "%s_bucket{le=\"%g\"} %g\n", name, bound, h.buckets[i])
		}
		fmt.Fprintf(w, "%s_bucket{le=\"+Inf\"} %g\n%s_sum %g\n%s_count %g\n", name, h.count, name, h.sum, name, h.count)
	}
}

func showRuntime(w io.Writer) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	rows := map[string]float64{
		"go_goroutines":                   float64(runtime.NumGoroutine()),
		"go_memstats_alloc_bytes":         float64(m.Alloc),
		"go_memstats_alloc_bytes_total":   float64(m.TotalAlloc),
		"go_memstats_heap_alloc_bytes":    float64(m.HeapAlloc),
		"go_memstats_heap_idle_bytes":     float64(m.HeapIdle),
		"go_memstats_heap_inuse_bytes":    float64(m.HeapInuse),
		"go_memstats_heap_released_bytes": float64(m.HeapReleased),
		"go_memstats_heap_sys_bytes":      float64(m.HeapSys),
		"go_memstats_stack_inuse_bytes":   float64(m.StackInuse),
		"go_memstats_sys_bytes":           float64(m.Sys),
		"process_resident_memory_bytes":   residentBytes(),
		"process_start_time_seconds":      float64(started.UnixMilli()) / 1000,
	}
	names := make([]string, 0, len(rows))
	for name := range rows {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(w, "%s %g\n", name, rows[name])
	}
}

var started = time.Now()

func residentBytes() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident float64
	fmt.Sscan(strings.TrimSpace(string(text)), &size, &resident)
	return resident * float64(os.Getpagesize())
}
