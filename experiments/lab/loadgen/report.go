package main

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"
)

const defaultWindow = 5 * time.Second

// report is the recent requests in figures; without requests the success rate
// and the P99 are null.
type report struct {
	WindowS     float64        `json:"window_s"` // seconds; shorter just after the start
	Requests    int            `json:"requests"`
	SuccessRate *float64       `json:"success_rate"` // share of answers with code 200
	P99Ms       *float64       `json:"p99_ms"`       // of all requests that were sent
	Rate        float64        `json:"rate"`         // requests per second
	Codes       map[string]int `json:"codes"`
}

func (l *journal) report(now time.Time, window time.Duration) report {
	window = min(window, now.Sub(l.started))
	samples := l.since(now.Add(-window))
	r := report{WindowS: window.Seconds(), Requests: len(samples), Codes: map[string]int{}}
	var sent []time.Duration
	for _, s := range samples {
		r.Codes[s.code]++
		if s.code != codeDropped {
			sent = append(sent, s.took)
		}
	}
	if len(samples) > 0 {
		r.SuccessRate = new(float64(r.Codes["200"]) / float64(len(samples)))
		r.Rate = float64(len(samples)) / window.Seconds()
	}
	if len(sent) > 0 {
		r.P99Ms = new(float64(p99(sent).Microseconds()) / 1e3)
	}
	return r
}

// p99 is the smallest duration that at least 99 % are not above; it sorts took.
func p99(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[int(math.Ceil(float64(len(took))*.99))-1]
}

// String is the report as one line for people.
func (r report) String() string {
	if r.Requests == 0 {
		return "no requests"
	}
	p99 := "none sent"
	if r.P99Ms != nil {
		p99 = fmt.Sprintf("%.1f ms", *r.P99Ms)
	}
	return fmt.Sprintf("%5.1f requests/s  success %6.2f %%  p99 %s  %v", r.Rate, *r.SuccessRate*100, p99, r.Codes)
}

// ServeHTTP answers GET /report?window=5s.
func (l *journal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	window := defaultWindow
	if text := r.FormValue("window"); text != "" {
		var err error
		if window, err = time.ParseDuration(text); err != nil || window <= 0 || window > keepSamples {
			http.Error(w, "The window must be a duration such as 5s, at most "+keepSamples.String()+".", http.StatusBadRequest)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(l.report(time.Now(), window))
}
