// Command loadgen is the customers: it checks out at a steady rate, however
// slow the storefront is.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"lab/internal/metrics"
)

const humanEvery = 5 * time.Second

type options struct {
	target, listen    string
	rate              float64 // requests per second
	timeout, duration time.Duration
	seed              uint64
}

func parseOptions() (o options, err error) {
	flag.StringVar(&o.target, "target", "http://127.0.0.1:8081", "base `URL` of the storefront")
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8084", "`host:port` of /metrics and /report")
	flag.Float64Var(&o.rate, "rate", 40, "requests per second")
	flag.DurationVar(&o.timeout, "timeout", 2*time.Second, "how long a customer waits")
	flag.DurationVar(&o.duration, "duration", 0, "end after this time; 0 means run until SIGTERM")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the random customers and amounts")
	flag.Parse()
	if o.rate <= 0 || o.rate > maxRate || o.timeout <= 0 || o.duration < 0 {
		return o, fmt.Errorf("the rate must be above 0 and at most %d, the timeout above 0, the duration not negative", maxRate)
	}
	return o, nil
}

func main() {
	o, err := parseOptions()
	if err == nil {
		err = run(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if o.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	var registry metrics.Registry
	log := newJournal(&registry)
	if err := serve(o.listen, &registry, log); err != nil {
		return err
	}
	go sayEvery(ctx, humanEvery, log)
	newCustomers(o, log).run(ctx)
	return json.NewEncoder(os.Stdout).Encode(log.report(time.Now(), keepSamples))
}

// serve shows the figures until the process ends.
func serve(listen string, registry *metrics.Registry, log *journal) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	registry.Register(metrics.GoRuntime)
	registry.Register(metrics.Process)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", registry.Handler())
	mux.Handle("GET /report", log)
	srv := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      5 * time.Second,
		IdleTimeout:       60 * time.Second,
	}
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "loadgen:", err)
		}
	}()
	return nil
}

func sayEvery(ctx context.Context, every time.Duration, log *journal) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			fmt.Fprintln(os.Stderr, log.report(now, every))
		case <-ctx.Done():
			return
		}
	}
}
