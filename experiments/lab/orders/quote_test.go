package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime/pprof"
	"testing"
	"time"

	"lab/internal/metrics"
)

// leaked counts the goroutines that are stuck for good in sending a quote.
func leaked(t *testing.T) int {
	t.Helper()
	profile := pprof.Lookup("goroutineleak")
	if profile == nil {
		t.Skip("this Go has no goroutineleak profile (1.26 needs GOEXPERIMENT=goroutineleakprofile)")
	}
	var dump bytes.Buffer
	if err := profile.WriteTo(&dump, 2); err != nil {
		t.Fatal(err)
	}
	return len(regexp.MustCompile(`\[chan send \(leaked\).*\]:\n.*cashier.*\n.*orders/quote_v`).FindAll(dump.Bytes(), -1))
}

// eventuallyLeaked waits until want goroutines are stuck.
func eventuallyLeaked(t *testing.T, want int) {
	t.Helper()
	got := leaked(t)
	for range 40 {
		if got == want {
			return
		}
		time.Sleep(25 * time.Millisecond)
		got = leaked(t)
	}
	t.Errorf("%d goroutines leaked, want %d", got, want)
}

// quoteMany asks for n quotes as requests do and counts those that fail.
func quoteMany(c *cashier, n int) (failed int) {
	for range n {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		if _, err := c.quote(ctx, order{"ada", 1000}); err != nil {
			failed++
		}
		cancel()
	}
	return failed
}

func TestQuotesLeakOnlyInV2(t *testing.T) {
	payments := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"number":1,"charged_cents":1000}`))
	}))
	defer payments.Close()
	c := newCashier(new(metrics.Registry), payments.URL)

	quoteMany(c, 50)
	eventuallyLeaked(t, 50*leaksPerQuote)

	failed := quoteMany(c, 300)
	if slotsRunOut != (failed > 30) {
		t.Errorf("%d of 300 quotes failed", failed)
	}
	eventuallyLeaked(t, 350*leaksPerQuote)
}
