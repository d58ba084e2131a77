package redis

import "lab/internal/metrics"

// instruments are named as go-redis names its own.
type instruments struct {
	commands *metrics.Histogram
	waits    *metrics.Histogram
	timeouts *metrics.Counter
}

func newInstruments(r *metrics.Registry, p *pool) instruments {
	r.Register(metrics.CollectorFunc(p.collect))
	return instruments{
		commands: metrics.NewHistogramVec(r, "redis_command_duration_seconds",
			"Time of commands that do not block, the wait for a connection included, in seconds.", metrics.LatencyBuckets).With(),
		waits: metrics.NewHistogramVec(r, "redis_pool_wait_seconds",
			"Time that callers waited for a connection, in seconds.", metrics.LatencyBuckets).With(),
		timeouts: metrics.NewCounterVec(r, "redis_pool_timeout_total", "Callers that gave up waiting for a connection.").With(),
	}
}

func (p *pool) collect(w *metrics.Writer) {
	size, inUse := p.usage()
	w.Single("redis_pool_size", "gauge", "Connections that may be in use at once.", float64(size))
	w.Single("redis_pool_conn_in_use_current", "gauge", "Connections in use.", float64(inUse))
	w.Single("redis_pool_conn_idle_current", "gauge", "Connections that nobody uses, those not opened yet included.",
		float64(max(0, size-inUse)))
}
