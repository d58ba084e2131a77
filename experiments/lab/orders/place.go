package main

import (
	"context"
	"net/http"

	"lab/internal/service"
)

type order struct {
	Customer    string `json:"customer"`
	AmountCents int64  `json:"amount_cents"`
}

type placed struct {
	OrderID        int64 `json:"order_id"`
	ChargeDeferred bool  `json:"charge_deferred"`
}

// desk takes the orders.
type desk struct {
	book    *book
	cashier *cashier
	store   *store
	archive *archive
}

func (d *desk) place(ctx context.Context, o order) (placed, error) {
	if o.Customer == "" || o.AmountCents < 1 {
		return placed{}, service.Fail(http.StatusBadRequest, "An order needs a customer and an amount.")
	}
	if err := d.book.open(ctx, o.Customer); err != nil {
		return placed{}, err
	}
	defer d.book.close(o.Customer)

	charged, err := d.cashier.quote(ctx, o)
	if err != nil {
		return placed{}, err
	}
	id, err := d.store.save(ctx, o, charged)
	if err != nil {
		return placed{}, err
	}
	d.archive.add()
	return placed{id, charged.deferred}, nil
}
