//go:build v2

package main

import "context"

// quoteSlots bounds the quotes under way, to be polite to payments.
var quoteSlots = make(chan struct{}, 256)

type quoted struct {
	charge charge
	err    error
}

// quote asks payments twice at once and takes the first answer, so that one
// slow connection does not slow down the customer.
//
// Broken on purpose: nobody receives the second answer.
func (c *cashier) quote(ctx context.Context, o order) (charge, error) {
	answers := make(chan quoted)
	for range 2 {
		go c.hedge(ctx, o, answers)
	}
	first := <-answers
	return first.charge, first.err
}

// hedge sends one answer, with its quote slot taken until then.
func (c *cashier) hedge(ctx context.Context, o order, answers chan<- quoted) {
	var answer quoted
	if answer.err = takeSlot(ctx); answer.err == nil {
		defer freeSlot()
		answer.charge, answer.err = c.ask(ctx, o)
	}
	answers <- answer
}

func takeSlot(ctx context.Context) error {
	select {
	case quoteSlots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func freeSlot() { <-quoteSlots }
