package main

import (
	"context"
	"fmt"
	"net/http"

	"lab/internal/admin"
	"lab/internal/service"
)

type checkout struct {
	Customer    string `json:"customer"`
	AmountCents int64  `json:"amount_cents"`
}

type receipt struct {
	OrderID        int64    `json:"order_id"`
	ChargeDeferred bool     `json:"charge_deferred"`
	Recommended    []string `json:"recommended"`
}

// shop sells what is on its shelf.
type shop struct {
	orders       *service.Client
	shelf        *shelf
	recommending *admin.Flag
	visits       visits
}

func (s *shop) checkout(ctx context.Context, in checkout) (receipt, error) {
	if in.Customer == "" || in.AmountCents < 1 {
		return receipt{}, service.Fail(http.StatusBadRequest, "A checkout needs a customer and an amount.")
	}
	if _, err := s.visits.enter(ctx); err != nil {
		return receipt{}, err
	}
	var out receipt
	if err := s.orders.Post(ctx, "/orders", in, &out); err != nil {
		return receipt{}, err
	}
	if s.recommending.Enabled() {
		out.Recommended = s.shelf.recommend()
	}
	return out, nil
}

func (s *shop) status(ctx context.Context) (string, error) {
	n, err := s.visits.enter(ctx)
	return fmt.Sprintf("The shop %s is open; visit %d.", service.Release, n), err
}
