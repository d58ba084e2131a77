package metrics

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestExpositionIsExact(t *testing.T) {
	var r Registry
	hits := NewCounterVec(&r, "hits_total", "Hits with \\ and\nnewline.", "code", "path")
	hits.With("500", "/b")
	hits.With("200", `a"b\c`+"\n").Inc()
	NewGauge(&r, "busy", "Busy things.").Add(-2)
	NewCounterVec(&r, "plain_total", "No labels.").With().Inc()

	want := `# HELP hits_total Hits with \\ and\nnewline.
# TYPE hits_total counter
hits_total{code="200",path="a\"b\\c\n"} 1
hits_total{code="500",path="/b"} 0
# HELP busy Busy things.
# TYPE busy gauge
busy -2
# HELP plain_total No labels.
# TYPE plain_total counter
plain_total 1
`
	if got := string(r.Expose()); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestHistogramBucketsAreCumulativeAndInclusive(t *testing.T) {
	var r Registry
	h := NewHistogramVec(&r, "d_seconds", "Durations.", []float64{.25, .5}, "path")
	for _, ms := range []int{250, 251, 500, 750} {
		h.With("/x").Observe(time.Duration(ms) * time.Millisecond)
	}
	want := `# HELP d_seconds Durations.
# TYPE d_seconds histogram
d_seconds_bucket{path="/x",le="0.25"} 1
d_seconds_bucket{path="/x",le="0.5"} 3
d_seconds_bucket{path="/x",le="+Inf"} 4
d_seconds_sum{path="/x"} 1.751
d_seconds_count{path="/x"} 4
`
	if got := string(r.Expose()); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestRuntimeFamiliesAreWellFormed(t *testing.T) {
	var r Registry
	r.Register(GoRuntime)
	r.Register(Process)
	rec := httptest.NewRecorder()
	r.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))

	line := regexp.MustCompile(`^(# (HELP|TYPE) .+|[a-z_]+(\{[a-z]+="[^"]*"\})? [0-9.e+-]+)$`)
	for text := range strings.Lines(rec.Body.String()) {
		if !line.MatchString(strings.TrimSuffix(text, "\n")) {
			t.Errorf("bad line %q", text)
		}
	}
	for _, name := range []string{
		"go_goroutines", "go_threads", "go_info", "go_sched_latencies_seconds_count", "go_sched_gomaxprocs_threads", "go_gc_duration_seconds_sum", "go_gc_duration_seconds_count",
		"go_memstats_heap_inuse_bytes", "go_memstats_heap_alloc_bytes", "go_memstats_heap_objects",
		"go_memstats_alloc_bytes_total", "go_memstats_next_gc_bytes", "go_memstats_last_gc_time_seconds",
		"process_start_time_seconds", "process_resident_memory_bytes", "process_open_fds",
	} {
		if !regexp.MustCompile(`(?m)^` + name + `[ {]`).MatchString(rec.Body.String()) {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestWrongNumberOfLabelsPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	NewCounterVec(new(Registry), "x_total", "X.", "a").With("1", "2")
}
