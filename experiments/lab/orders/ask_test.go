package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lab/internal/admin"
	"lab/internal/metrics"
)

const token = "for-the-test"

// put changes a point of the cashier as an operator does.
func put(t *testing.T, c *cashier, path, body string) {
	t.Helper()
	r := httptest.NewRequest("PUT", path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	rec := httptest.NewRecorder()
	admin.API(token, c.points()).ServeHTTP(rec, r)
	if rec.Code != 200 {
		t.Fatalf("%s: got %d %s", path, rec.Code, rec.Body)
	}
}

// payments answers each try with the next of answers: ok, slow or a code.
func payments(t *testing.T, answer func(try int) int) (c *cashier, tries *atomic.Int32) {
	tries = new(atomic.Int32)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then a server sees that the client leaves
		code := answer(int(tries.Add(1)))
		if code == slow {
			<-r.Context().Done()
			return
		}
		w.WriteHeader(code)
		w.Write([]byte(`{"number":7,"charged_cents":1000}`))
	}))
	t.Cleanup(srv.Close)
	return newCashier(new(metrics.Registry), srv.URL), tries
}

const slow = 0

func askSoon(t *testing.T, c *cashier) (charge, error) {
	ctx, cancel := context.WithTimeout(t.Context(), requestTimeout)
	defer cancel()
	return c.ask(ctx, order{"ada", 1000})
}

func TestSlowPaymentsIsAskedAgainAsOftenAsSet(t *testing.T) {
	c, tries := payments(t, func(int) int { return slow })
	put(t, c, "/settings/payments_timeout_ms", `{"value":20}`)
	for retries, want := range []int32{1, 2, 3, 4} {
		tries.Store(0)
		put(t, c, "/settings/payments_retries", `{"value":`+string(rune('0'+retries))+`}`)
		_, err := askSoon(t, c)
		if got := tries.Load(); got != want || err == nil || err.Error() != "payments did not answer in time: context deadline exceeded." {
			t.Errorf("%d retries: got %d tries, %v", retries, got, err)
		}
	}
}

func TestRetryHelpsAgainstOneSlowAnswer(t *testing.T) {
	c, tries := payments(t, func(try int) int { return map[bool]int{true: 503, false: 200}[try == 1] })
	if got, err := askSoon(t, c); err != nil || got.Number != 7 || tries.Load() != 2 {
		t.Errorf("got %+v, %v after %d tries", got, err, tries.Load())
	}
}

func TestWhatWouldFailAgainIsNotAskedAgain(t *testing.T) {
	for _, code := range []int{400, 500, 502} {
		c, tries := payments(t, func(int) int { return code })
		if _, err := askSoon(t, c); err == nil || tries.Load() != 1 {
			t.Errorf("%d: got %v after %d tries", code, err, tries.Load())
		}
	}
}

func TestThereIsTimeLeftToSayThatPaymentsWasSlow(t *testing.T) {
	c, _ := payments(t, func(int) int { return slow })
	put(t, c, "/settings/payments_timeout_ms", `{"value":2000}`)
	started := time.Now()
	_, err := askSoon(t, c)
	if took := time.Since(started); err == nil || took > requestTimeout-20*time.Millisecond {
		t.Errorf("got %v after %v", err, took)
	}
}

func TestOpenBreakerDefersTheChargeAndAsksNobody(t *testing.T) {
	c, tries := payments(t, func(int) int { return slow })
	put(t, c, "/breakers/payments", `{"state":"open"}`)
	got, err := askSoon(t, c)
	if err != nil || !got.deferred || got.Number != 0 || tries.Load() != 0 {
		t.Errorf("got %+v, %v after %d tries", got, err, tries.Load())
	}
}

func TestBreakerClosesWhenPaymentsAnswersAgain(t *testing.T) {
	c, tries := payments(t, func(int) int { return 200 })
	put(t, c, "/breakers/payments", `{"state":"open","ttl_s":0.05}`)
	time.Sleep(60 * time.Millisecond)
	for range 5 {
		if got, err := askSoon(t, c); err != nil || got.deferred {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	if tries.Load() != 5 {
		t.Errorf("%d tries", tries.Load())
	}
}

func TestBadOrdersSayNothingAboutPayments(t *testing.T) {
	c, _ := payments(t, func(int) int { return 400 })
	put(t, c, "/breakers/payments", `{"state":"open","ttl_s":0.05}`)
	time.Sleep(60 * time.Millisecond)
	for range 4 {
		if got, err := askSoon(t, c); err == nil || got.deferred {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}
