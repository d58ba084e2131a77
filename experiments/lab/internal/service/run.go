package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"lab/internal/admin"
	"lab/internal/faults"
)

const (
	shutdownGrace  = 1 * time.Second
	faultsTokenEnv = "LAB_FAULTS_TOKEN"
	adminTokenEnv  = "LAB_ADMIN_TOKEN"
)

// LogAsJSON makes structured lines on stderr the log of this process.
func LogAsJSON(name string) {
	handler := slog.NewJSONHandler(os.Stderr, nil)
	slog.SetDefault(slog.New(handler).With("service", name, "release", Release))
}

// Run serves app until SIGTERM or SIGINT and returns the exit code.
func Run(app App, at Flags) int {
	LogAsJSON(app.Name)
	if err := run(app, at); err != nil {
		slog.Error("stop", "error", err.Error())
		return 1
	}
	slog.Info("stop")
	return 0
}

func run(app App, at Flags) error {
	servers, err := listenAll(app, at)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	slog.Info("start", "listen", *at.listen, "faults", *at.faults, "admin", *at.admin, "pid", os.Getpid())
	return serveAll(ctx, servers)
}

// bound is a server with its open listener.
type bound struct {
	*http.Server
	net.Listener
}

// side is an API beside the business port, for callers that have the token.
type side struct {
	addr, tokenEnv string
	serve          func(token string) http.Handler
}

func listenAll(app App, at Flags) ([]bound, error) {
	log, err := at.openLog(app.Metrics)
	if err != nil {
		return nil, err
	}
	if log != nil {
		app.Faults = append(app.Faults, log.Chatter())
	}
	set := faults.New(app.State, app.Faults...)
	main, err := bind(*at.listen, app.handler(set, log))
	if err != nil {
		return nil, err
	}
	servers := []bound{main}
	for _, one := range []side{
		{*at.faults, faultsTokenEnv, set.API},
		{*at.admin, adminTokenEnv, func(token string) http.Handler { return admin.API(token, app.Admin) }},
	} {
		if servers, err = one.join(servers); err != nil {
			return nil, err
		}
	}
	return servers, nil
}

func (s side) join(servers []bound) ([]bound, error) {
	if s.addr == "" {
		return servers, nil
	}
	token := os.Getenv(s.tokenEnv)
	if token == "" {
		return nil, fmt.Errorf("the API at %s needs a token in %s", s.addr, s.tokenEnv)
	}
	server, err := bind(s.addr, s.serve(token))
	return append(servers, server), err
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
