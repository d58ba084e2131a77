package main

import (
	"context"

	"lab/internal/service"
)

// charge is the answer of payments to a quote.
type charge struct {
	Number       int64 `json:"number"`
	ChargedCents int64 `json:"charged_cents"`
}

// cashier gets quotes from payments.
type cashier struct{ payments *service.Client }

func (c *cashier) ask(ctx context.Context, o order) (charge, error) {
	var answer charge
	err := c.payments.Post(ctx, "/charge", o, &answer)
	return answer, err
}
