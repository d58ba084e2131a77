package main

import (
	"context"
	"errors"
	"net/http"
	"time"

	"lab/internal/service"
)

// ask asks payments, and again at once when it was too slow or too busy. With
// the breaker open it asks nobody, and the charge is deferred.
func (c *cashier) ask(ctx context.Context, o order) (charge, error) {
	ctx, cancel := withTimeToAnswer(ctx)
	defer cancel()
	for tried := int64(1); ; tried++ {
		answer, err := c.try(ctx, o)
		if !tooSlow(err) || tried > c.retries.Value() || ctx.Err() != nil {
			return answer, blamed(err)
		}
	}
}

func (c *cashier) try(ctx context.Context, o order) (answer charge, err error) {
	report, ok := c.breaker.Allow()
	if !ok {
		c.deferred.Inc()
		return charge{deferred: true}, nil
	}
	defer func() { report(failed(err)) }()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.timeout.Value())*time.Millisecond)
	defer cancel()
	err = c.payments.Post(ctx, "/charge", o, &answer)
	return answer, err
}

// withTimeToAnswer leaves a tenth of the time to say what went wrong.
func withTimeToAnswer(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/10))
}

// tooSlow says if payments gave no answer in time, or said so itself. Any other
// failure would be the same the next time.
func tooSlow(err error) bool {
	var known *service.Error
	return errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &known) && known.Upstream == http.StatusServiceUnavailable
}

// failed says if err speaks against payments, and not against the order or the
// customer who left.
func failed(err error) bool {
	var known *service.Error
	if errors.As(err, &known) {
		return known.Code != http.StatusBadRequest
	}
	return err != nil && !errors.Is(err, context.Canceled)
}

// blamed says to our caller that it was payments that took too long, not we.
func blamed(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return service.Fail(http.StatusBadGateway, "%v.", err)
	}
	return err
}
