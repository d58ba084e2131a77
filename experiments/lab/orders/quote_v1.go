//go:build !v2

package main

import "context"

// quote asks payments once.
func (c *cashier) quote(ctx context.Context, o order) (charge, error) {
	return c.ask(ctx, o)
}
