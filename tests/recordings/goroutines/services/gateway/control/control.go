// Package control is how the gateway is steered.
package control

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"

	"example.com/gateway/internal/runtime"
)

// callback waits at a port of its own for one answer.
type callback struct {
	net.Listener
	token string
}

func newCallback(token string) (*callback, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	return &callback{listener, token}, err
}

func (c *callback) wait() {
	for {
		conn, err := c.Accept() // ROOT control_callback
		if err != nil {
			return
		}
		fmt.Fprintln(conn, c.token)
		conn.Close()
	}
}

// case control_callback: listener_never_closed, service, path=/login, visitors=45
func MountCallback(a *runtime.App) {
	a.Mux.HandleFunc("/login", func(w http.ResponseWriter, r *http.Request) {
		back, err := newCallback("t-1")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		go back.wait() // CREATED control_callback
		fmt.Fprintln(w, back.Addr())
	})
}

// case control_debug_port: listener_never_closed, service, path=/debug-session
func MountDebugPort(a *runtime.App) {
	a.Mux.HandleFunc("/debug-session", func(w http.ResponseWriter, r *http.Request) {
		listener, err := net.Listen("tcp", "localhost:0")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		pages := http.NewServeMux()
		pages.Handle("/trace", http.NotFoundHandler())
		go func() { // CREATED control_debug_port
			if err := http.Serve(listener, pages); err != nil { // ROOT control_debug_port
				log.Print(err)
			}
		}()
		w.Header().Set("Location", "http://"+listener.Addr().String()+"/trace")
		w.WriteHeader(http.StatusSeeOther)
	})
}

type sockets struct {
	dir  string
	next atomic.Int64
}

func (s *sockets) open(ctx context.Context) error {
	path := filepath.Join(s.dir, fmt.Sprintf("plugin-%d.sock", s.next.Add(1)))
	listener, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return err
	}
	go s.greet(listener.(*net.UnixListener)) // CREATED control_unix
	return nil
}

func (s *sockets) greet(listener *net.UnixListener) {
	for {
		plugin, err := listener.AcceptUnix() // ROOT control_unix
		if err != nil {
			log.Print(err)
			return
		}
		_ = plugin.Close()
	}
}

// case control_unix: listener_never_closed, service, path=/plugins
func MountUnix(a *runtime.App) {
	s := &sockets{dir: a.Dir}
	a.Mux.HandleFunc("/plugins", func(w http.ResponseWriter, r *http.Request) {
		if err := s.open(a.Ctx); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

type route struct{ prefix, target string }

// follower applies the routes that it is sent.
type follower struct {
	updates chan []route
	resync  chan struct{}
	table   []route
}

func (f *follower) run(ctx context.Context, tenant string) {
	ctx = context.WithValue(ctx, f, tenant)
	for {
		select { // ROOT control_routes
		case table := <-f.updates:
			f.table = table
		case <-f.resync:
			f.table = f.table[:0]
			_ = ctx
		}
	}
}

// case control_routes: select_no_ctx_done, service, path=/tenants
func MountRoutes(a *runtime.App) {
	a.Mux.HandleFunc("/tenants", func(w http.ResponseWriter, r *http.Request) {
		f := &follower{updates: make(chan []route), resync: make(chan struct{})}
		go f.run(r.Context(), r.URL.RawQuery) // CREATED control_routes
		w.WriteHeader(http.StatusCreated)
	})
}

// mirror copies traffic to a second target until its context ends.
func mirror(ctx context.Context, copies <-chan string) {
	for {
		select { // ROOT control_mirror
		case line, open := <-copies:
			if !open {
				return
			}
			log.Print(line)
		case <-ctx.Done():
			return
		}
	}
}

// case control_mirror: context_not_propagated, service, path=/mirror
func MountMirror(a *runtime.App) {
	a.Mux.HandleFunc("/mirror", func(w http.ResponseWriter, r *http.Request) {
		copies := make(chan string, 8)
		go func() { mirror(context.TODO(), copies) }() // CREATED control_mirror
		copies <- r.URL.Path
		w.WriteHeader(http.StatusAccepted)
	})
}
