package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lab/internal/metrics"
)

func TestRateStaysSteadyWhenTheTargetIsSlow(t *testing.T) {
	var asked atomic.Int32
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1)%2 == 0 {
			w.WriteHeader(500)
			return
		}
		io.Copy(io.Discard, r.Body) // else the server does not see the customer leave
		<-r.Context().Done()
	}))
	defer shop.Close()
	var registry metrics.Registry
	log := newJournal(&registry)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	newCustomers(options{target: shop.URL, rate: 100, timeout: 300 * time.Millisecond}, log).run(ctx)

	r := log.report(time.Now(), keepSamples)
	if r.Requests < 45 || r.Requests > 51 || *r.SuccessRate != 0 {
		t.Errorf("got %v", r)
	}
	if r.Codes["500"] < 20 || r.Codes[codeTimeout] < 20 || *r.P99Ms < 300 {
		t.Errorf("got %v", r)
	}
	if text := string(registry.Expose()); !strings.Contains(text, `loadgen_requests_total{code="200"} 0`) {
		t.Errorf("the 200 series is missing in\n%s", text)
	}
}

func TestP99IsTheExactNearestRank(t *testing.T) {
	var took []time.Duration
	for ms := 200; ms >= 1; ms-- {
		took = append(took, time.Duration(ms)*time.Millisecond)
	}
	if got := p99(took); got != 198*time.Millisecond {
		t.Errorf("got %v", got)
	}
	if got := p99(took[:1]); got != time.Millisecond {
		t.Errorf("one request: got %v", got)
	}
}

func TestRingKeepsTheNewest(t *testing.T) {
	log := newJournal(new(metrics.Registry))
	for i := range ringSize + 10 {
		log.add("200", time.Duration(i))
	}
	all := log.since(log.started)
	if len(all) != ringSize || all[0].took != ringSize+9 || all[len(all)-1].took != 10 {
		t.Errorf("%d samples, newest %d, oldest %d", len(all), all[0].took, all[len(all)-1].took)
	}
}

func TestReportWithoutRequestsAndBadWindows(t *testing.T) {
	log := newJournal(new(metrics.Registry))
	for query, code := range map[string]int{"": 200, "?window=60s": 200, "?window=61s": 400, "?window=x": 400, "?window=-1s": 400} {
		rec := httptest.NewRecorder()
		log.ServeHTTP(rec, httptest.NewRequest("GET", "/report"+query, nil))
		if rec.Code != code || code == 200 && !strings.Contains(rec.Body.String(), `"success_rate":null`) {
			t.Errorf("%q: got %d %s", query, rec.Code, rec.Body)
		}
	}
}
