package service

import (
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"lab/internal/admin"
	"lab/internal/faults"
	"lab/internal/logvolume"
	"lab/internal/metrics"
)

const healthTimeout = 500 * time.Millisecond

// App is one service.
type App struct {
	Name    string
	Timeout time.Duration // for one business request
	Routes  []Route
	State   sync.Locker // the lock that every business request takes
	Check   func()      // called by /healthz; takes State in the service's own way
	Metrics *metrics.Registry
	Admin   []admin.Point // what the admin API shows, may be none
	Faults  []faults.Kind // those that only this service has
}

// Route is a business route; Path is also the value of the path label.
type Route struct {
	Method, Path string
	Handler      http.Handler
}

func (r Route) pattern() string {
	if r.Path == "/" {
		return r.Method + " /{$}"
	}
	return r.Method + " " + r.Path
}

// handler serves the business routes and what is beside them; log may be nil.
func (a App) handler(set *faults.Set, log *logvolume.Volume) http.Handler {
	seen := newObserver(a.Metrics)
	mux := http.NewServeMux()
	for _, route := range a.Routes {
		handle := set.Around(route.Handler)
		if log != nil {
			handle = audited(log, handle)
		}
		h := withTimeout(a.Timeout, a.Name+" did not finish in time", handle)
		mux.Handle(route.pattern(), withRequestID(seen.around(route, h)))
	}
	mux.Handle("GET /healthz", a.health())
	a.Metrics.Register(metrics.GoRuntime)
	a.Metrics.Register(metrics.Process)
	a.Metrics.Register(buildInfo(a.Name))
	mux.Handle("GET /metrics", a.Metrics.Handler())
	addDebug(mux)
	return mux
}

// health answers 200 if Check returns in time. It asks no other service, for
// a broken neighbour must not make this process look broken.
func (a App) health() http.Handler {
	return withTimeout(healthTimeout, a.Name+" did not get its state lock in "+healthTimeout.String(),
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			a.Check()
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Write([]byte("ok\n"))
		}))
}

func addDebug(mux *http.ServeMux) {
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
}
