package metrics

import (
	"math"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"time"
)

// GoRuntime shows the Go runtime under the names that client_golang uses.
var GoRuntime = CollectorFunc(func(w *Writer) {
	threads, _ := runtime.ThreadCreateProfile(nil)
	w.Single("go_goroutines", "gauge", "Number of goroutines that currently exist.", float64(runtime.NumGoroutine()))
	w.Single("go_threads", "gauge", "Number of OS threads created.", float64(threads))
	w.Family("go_info", "gauge", "Information about the Go environment.")
	w.Sample("go_info", 1, Label{"version", runtime.Version()})
	collectGC(w)
	collectMemory(w)
	collectScheduler(w)
})

// waitBuckets are the upper bounds, in seconds, for how long goroutines that can run wait for a processor.
var waitBuckets = []float64{.0001, .0005, .001, .005, .01, .05, .1, .25, .5, 1, math.Inf(1)}

func collectScheduler(w *Writer) {
	const name = "go_sched_latencies_seconds"
	samples := []runtimemetrics.Sample{{Name: "/sched/latencies:seconds"}, {Name: "/sched/gomaxprocs:threads"}}
	runtimemetrics.Read(samples)
	w.Family(name, "histogram", "Time that goroutines were runnable before they ran, in seconds.")
	waits, total, at := samples[0].Value.Float64Histogram(), uint64(0), 0
	for _, bound := range waitBuckets {
		for ; at < len(waits.Counts) && waits.Buckets[at+1] <= bound; at++ {
			total += waits.Counts[at]
		}
		w.Sample(name+"_bucket", float64(total), Label{"le", formatFloat(bound)})
	}
	w.Sample(name+"_count", float64(total))
	const procs = "go_sched_gomaxprocs_threads"
	w.Single(procs, "gauge", "Number of threads that run Go code at once.", float64(samples[1].Value.Uint64()))
}

func collectGC(w *Writer) {
	const name = "go_gc_duration_seconds"
	stats := debug.GCStats{PauseQuantiles: make([]time.Duration, 5)}
	debug.ReadGCStats(&stats)
	w.Family(name, "summary", "Pause durations of garbage collection cycles, in seconds.")
	for i, quantile := range []string{"0", "0.25", "0.5", "0.75", "1"} {
		w.Sample(name, stats.PauseQuantiles[i].Seconds(), Label{"quantile", quantile})
	}
	w.Sample(name+"_sum", stats.PauseTotal.Seconds())
	w.Sample(name+"_count", float64(stats.NumGC))
}

func collectMemory(w *Writer) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.Single("go_memstats_heap_inuse_bytes", "gauge", "Bytes in heap spans in use.", float64(m.HeapInuse))
	w.Single("go_memstats_heap_alloc_bytes", "gauge", "Bytes of allocated heap objects.", float64(m.HeapAlloc))
	w.Single("go_memstats_heap_objects", "gauge", "Number of allocated heap objects.", float64(m.HeapObjects))
	w.Single("go_memstats_alloc_bytes_total", "counter", "Bytes ever allocated for heap objects.", float64(m.TotalAlloc))
	w.Single("go_memstats_next_gc_bytes", "gauge", "Heap size in bytes at which the next collection starts.", float64(m.NextGC))
	w.Single("go_memstats_last_gc_time_seconds", "gauge", "Unix time of the last collection, in seconds.", float64(m.LastGC)/1e9)
}
