package main

import (
	"context"
	"net/http"

	"lab/internal/service"
)

const (
	maxCents = 100_000_00
	currency = "EUR"
)

type chargeRequest struct {
	Customer    string `json:"customer"`
	AmountCents int64  `json:"amount_cents"`
}

type chargeAnswer struct {
	Number       int64   `json:"number"`
	Instalments  []int64 `json:"instalments"` // cents
	ChargedCents int64   `json:"charged_cents"`
}

// desk takes the charges.
type desk struct {
	till   *till
	limits map[string]int64 // cents of one charge, by currency
}

func (d *desk) charge(ctx context.Context, in chargeRequest) (chargeAnswer, error) {
	if most := d.limits[currency]; in.Customer == "" || in.AmountCents < 1 || in.AmountCents > most {
		return chargeAnswer{}, service.Fail(http.StatusBadRequest,
			"A charge needs a customer and from 1 to %d cents.", most)
	}
	parts := instalments(in.AmountCents)
	if total := sum(parts); total != in.AmountCents {
		return chargeAnswer{}, service.Fail(http.StatusInternalServerError,
			"The instalments add up to %d cents, not to %d.", total, in.AmountCents)
	}
	number, err := d.till.take(ctx, in.AmountCents)
	return chargeAnswer{number, parts, in.AmountCents}, err
}

func sum(parts []int64) (total int64) {
	for _, part := range parts {
		total += part
	}
	return total
}
