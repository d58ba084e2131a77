// Package service is what all services of the lab have in common: flags,
// routes with metrics, logs and timeouts, health, debug pages and shutdown.
package service

import "lab/internal/metrics"

// Release is set by the linker: -ldflags "-X lab/internal/service.Release=v1".
var Release = "dev"

func buildInfo(name string) metrics.Collector {
	return metrics.CollectorFunc(func(w *metrics.Writer) {
		w.Family("build_info", "gauge", "Which release of which service this is.")
		w.Sample("build_info", 1,
			metrics.Label{Name: "service", Value: name}, metrics.Label{Name: "release", Value: Release})
	})
}
