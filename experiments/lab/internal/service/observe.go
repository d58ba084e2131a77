package service

import (
	"bytes"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"lab/internal/metrics"
)

const (
	slowRequest  = 500 * time.Millisecond // from here on a request is logged
	maxLoggedErr = 200                    // bytes of an error answer in the log
	codeGone     = 499                    // the caller left; nobody saw our answer
)

// observer counts and logs business requests.
type observer struct {
	requests *metrics.CounterVec
	duration *metrics.HistogramVec
	inFlight *metrics.Gauge
}

func newObserver(r *metrics.Registry) *observer {
	return &observer{
		requests: metrics.NewCounterVec(r, "http_requests_total", "Business requests answered.", "code", "method", "path"),
		duration: metrics.NewHistogramVec(r, "http_request_duration_seconds",
			"Time to answer business requests, in seconds.", metrics.LatencyBuckets, "path"),
		inFlight: metrics.NewGauge(r, "http_requests_in_flight", "Business requests being answered."),
	}
}

// around observes a route. Its 200 and 500 series exist from the start.
func (o *observer) around(route Route, next http.Handler) http.Handler {
	o.requests.With("200", route.Method, route.Path)
	o.requests.With("500", route.Method, route.Path)
	duration := o.duration.With(route.Path)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.inFlight.Add(1)
		defer o.inFlight.Add(-1)
		started := time.Now()
		rec := &recorder{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(rec, r)

		took := time.Since(started)
		if r.Context().Err() != nil {
			rec.code = codeGone
		}
		duration.Observe(took)
		o.requests.With(strconv.Itoa(rec.code), route.Method, route.Path).Inc()
		if rec.code >= 500 || took > slowRequest {
			logRequest(r, route, rec, took)
		}
	})
}

func logRequest(r *http.Request, route Route, rec *recorder, took time.Duration) {
	level := slog.LevelWarn
	if rec.code >= 500 {
		level = slog.LevelError
	}
	slog.Log(r.Context(), level, "request",
		"method", route.Method, "path", route.Path, "code", rec.code,
		"ms", float64(took.Microseconds())/1e3, "request_id", requestID(r.Context()),
		"error", string(bytes.TrimSpace(rec.failure)))
}

// recorder remembers the status code and the start of an error answer.
type recorder struct {
	http.ResponseWriter
	code    int
	failure []byte
}

func (r *recorder) WriteHeader(code int) {
	r.code = code
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(p []byte) (int, error) {
	if room := maxLoggedErr - len(r.failure); r.code >= 500 && room > 0 {
		r.failure = append(r.failure, p[:min(room, len(p))]...)
	}
	return r.ResponseWriter.Write(p)
}
