package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"lab/internal/faults"
	"lab/internal/redis"
)

const (
	archiveJobs = 64 // at once, more are left out
	archiveKey  = "orders:archived"
)

// archive is a fault: a background job after each order waits for an archive
// that confirms nothing, and keeps a connection to Redis meanwhile.
type archive struct {
	redis *redis.Client
	wait  atomic.Int64 // nanoseconds; 0 means that there are no such jobs
	jobs  chan struct{}
}

func newArchive(r *redis.Client) *archive {
	return &archive{redis: r, jobs: make(chan struct{}, archiveJobs)}
}

func (a *archive) fault() faults.Kind {
	return faults.Kind{
		Name: "archive", Unit: "ms that a job after each order keeps a connection to Redis", Min: 1, Max: 5000,
		Start: func(ms float64) (end func()) {
			a.wait.Store(int64(ms * float64(time.Millisecond)))
			return func() { a.wait.Store(0) }
		},
	}
}

// add starts the job of one order.
func (a *archive) add() {
	wait := time.Duration(a.wait.Load())
	if wait == 0 {
		return
	}
	select {
	case a.jobs <- struct{}{}:
		go a.confirm(wait)
	default:
	}
}

// confirm waits for the list of confirmations, which stays empty.
func (a *archive) confirm(wait time.Duration) {
	defer func() { <-a.jobs }()
	if err := a.redis.Block(context.Background(), archiveKey, wait); err != nil {
		slog.Warn("order not archived", "error", err.Error())
	}
}
