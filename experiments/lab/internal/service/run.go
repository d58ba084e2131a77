package service

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"lab/internal/faults"
)

const (
	shutdownGrace  = 1 * time.Second
	faultsTokenEnv = "LAB_FAULTS_TOKEN"
)

// Addresses are the flags that every service has.
type Addresses struct {
	listen *string
	faults *string
}

// AddressFlags defines -listen and -faults.
func AddressFlags(listen string) Addresses {
	return Addresses{
		listen: flag.String("listen", listen, "`host:port` of the service"),
		faults: flag.String("faults", "", "`host:port` of the faults API; empty means off; needs "+faultsTokenEnv),
	}
}

// LogAsJSON makes structured lines on stderr the log of this process.
func LogAsJSON(name string) {
	handler := slog.NewJSONHandler(os.Stderr, nil)
	slog.SetDefault(slog.New(handler).With("service", name, "release", Release))
}

// Run serves app until SIGTERM or SIGINT and returns the exit code.
func Run(app App, at Addresses) int {
	LogAsJSON(app.Name)
	if err := run(app, at); err != nil {
		slog.Error("stop", "error", err.Error())
		return 1
	}
	slog.Info("stop")
	return 0
}

func run(app App, at Addresses) error {
	set := faults.New(app.State)
	servers, err := listenAll(app, at, set)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	slog.Info("start", "listen", *at.listen, "faults", *at.faults, "pid", os.Getpid())
	return serveAll(ctx, servers)
}

// bound is a server with its open listener.
type bound struct {
	*http.Server
	net.Listener
}

func listenAll(app App, at Addresses, set *faults.Set) ([]bound, error) {
	main, err := bind(*at.listen, app.handler(set))
	if err != nil || *at.faults == "" {
		return []bound{main}, err
	}
	token := os.Getenv(faultsTokenEnv)
	if token == "" {
		return nil, fmt.Errorf("the faults API needs a token in %s", faultsTokenEnv)
	}
	side, err := bind(*at.faults, set.API(token))
	return []bound{main, side}, err
}

// bind opens addr. net/http/pprof prolongs the write deadline by itself for
// profiles that take longer.
func bind(addr string, h http.Handler) (bound, error) {
	l, err := net.Listen("tcp", addr)
	return bound{&http.Server{
		Handler:           h,
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       60 * time.Second,
		MaxHeaderBytes:    16 << 10,
	}, l}, err
}

// serveAll serves until ctx ends or a server fails, then shuts all down.
func serveAll(ctx context.Context, servers []bound) error {
	failed := make(chan error, len(servers))
	for _, s := range servers {
		go func() { failed <- s.Serve(s.Listener) }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	for _, s := range servers {
		if errors.Is(s.Shutdown(grace), context.DeadlineExceeded) {
			slog.Warn("requests cut off", "after_ms", shutdownGrace.Milliseconds())
		}
	}
	return err
}
