package service

import (
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"lab/internal/faults"
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

func (a App) handler(set *faults.Set) http.Handler {
	var registry metrics.Registry
	seen := newObserver(&registry)
	mux := http.NewServeMux()
	for _, route := range a.Routes {
		h := withTimeout(a.Timeout, a.Name+" did not finish in time", set.Around(route.Handler))
		mux.Handle(route.pattern(), withRequestID(seen.around(route, h)))
	}
	mux.Handle("GET /healthz", a.health())
	registry.Register(metrics.GoRuntime)
	registry.Register(metrics.Process)
	registry.Register(buildInfo(a.Name))
	mux.Handle("GET /metrics", registry.Handler())
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
