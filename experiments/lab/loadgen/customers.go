package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxRate     = 1000 // requests per second
	maxInFlight = 500  // more are not sent but counted as dropped
	customerIDs = 1000
	maxCents    = 200_00
	maxAnswer   = 64 << 10 // bytes read of an answer
)

// customers send checkouts.
type customers struct {
	url     string
	rate    float64 // requests per second
	client  *http.Client
	random  *rand.Rand
	log     *journal
	waiting chan struct{} // one entry per request in flight
}

func newCustomers(o options, log *journal) *customers {
	return &customers{
		url:  strings.TrimSuffix(o.target, "/") + "/checkout",
		rate: o.rate,
		client: &http.Client{
			Timeout: o.timeout,
			Transport: &http.Transport{
				DialContext:         (&net.Dialer{Timeout: o.timeout}).DialContext,
				MaxIdleConns:        maxInFlight,
				MaxIdleConnsPerHost: maxInFlight,
				IdleConnTimeout:     30 * time.Second,
			},
		},
		random:  rand.New(rand.NewPCG(o.seed, 0)),
		log:     log,
		waiting: make(chan struct{}, maxInFlight),
	}
}

// run sends at the steady rate until ctx ends and waits for the last answers.
// The n-th request has its fixed time, so delays do not add up.
func (c *customers) run(ctx context.Context) {
	var answers sync.WaitGroup
	defer answers.Wait()
	started := time.Now()
	next := time.NewTimer(0)
	defer next.Stop()
	for n := 1; ; n++ {
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
		body := c.body()
		select {
		case c.waiting <- struct{}{}:
			answers.Go(func() { c.checkout(body); <-c.waiting })
		default:
			c.log.add(codeDropped, 0)
		}
		due := started.Add(time.Duration(float64(n) / c.rate * float64(time.Second)))
		next.Reset(time.Until(due))
	}
}

func (c *customers) body() string {
	return fmt.Sprintf(`{"customer":"c%03d","amount_cents":%d}`,
		c.random.IntN(customerIDs), 1+c.random.IntN(maxCents))
}

func (c *customers) checkout(body string) {
	started := time.Now()
	code := c.post(body)
	c.log.add(code, time.Since(started))
}

// post returns the status code of the answer, or what happened instead.
func (c *customers) post(body string) string {
	resp, err := c.client.Post(c.url, "application/json", strings.NewReader(body))
	if err == nil {
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	}
	var timeout net.Error
	switch {
	case err == nil:
		return strconv.Itoa(resp.StatusCode)
	case errors.As(err, &timeout) && timeout.Timeout():
		return codeTimeout
	}
	return codeError
}
