package main

import (
	"lab/internal/admin"
	"lab/internal/metrics"
	"lab/internal/service"
)

// charge is the answer of payments to a quote.
type charge struct {
	Number       int64 `json:"number"`
	ChargedCents int64 `json:"charged_cents"`
	deferred     bool  // payments was not asked; it is to be charged later
}

// cashier gets quotes from payments.
type cashier struct {
	payments *service.Client
	breaker  *admin.Breaker
	retries  *admin.Setting
	timeout  *admin.Setting // ms, of one try
	deferred *metrics.Counter
}

// The defaults: payments answers within 400 ms, even if it is to say that it
// could not finish.
const (
	defaultRetries   = 2
	defaultTimeoutMs = 450
)

func newCashier(r *metrics.Registry, payments string) *cashier {
	c := &cashier{
		payments: service.NewClient(r, "payments", payments),
		breaker:  admin.NewBreaker("payments"),
		retries:  admin.NewSetting("payments_retries", "retries at once of a try", 0, 5, defaultRetries, nil),
		timeout:  admin.NewSetting("payments_timeout_ms", "ms for one try", 10, 2000, defaultTimeoutMs, nil),
	}
	r.Register(c.breaker)
	c.deferred = metrics.NewCounterVec(r, "charges_deferred_total", "Orders taken without asking payments.").With()
	return c
}

func (c *cashier) points() []admin.Point { return []admin.Point{c.breaker, c.retries, c.timeout} }
