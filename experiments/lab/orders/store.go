package main

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"lab/internal/redis"
	"lab/internal/service"
)

const keepOrders = 1 * time.Hour

// store keeps orders in Redis, as hashes "order:ID" that expire.
type store struct{ redis *redis.Client }

// save stores an order and returns its id.
func (s *store) save(ctx context.Context, o order, c charge) (int64, error) {
	reply, err := s.redis.Do(ctx, "INCR", "orders:last_id")
	if err != nil {
		return 0, unstored(ctx, err)
	}
	id, ok := reply.(int64)
	if !ok {
		return 0, service.Fail(http.StatusInternalServerError, "Redis gave no order id.")
	}
	key := "order:" + strconv.FormatInt(id, 10)
	_, err = s.redis.Pipeline(ctx,
		redis.Command{"HSET", key, "customer", o.Customer,
			"amount_cents", strconv.FormatInt(o.AmountCents, 10), "charge", strconv.FormatInt(c.Number, 10)},
		redis.Command{"EXPIRE", key, strconv.Itoa(int(keepOrders.Seconds()))})
	if err != nil {
		return 0, unstored(ctx, err)
	}
	return id, nil
}

func unstored(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return service.Fail(http.StatusInternalServerError, "The order could not be stored: %v.", err)
}
