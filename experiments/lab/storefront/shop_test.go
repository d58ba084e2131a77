package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lab/internal/admin"
	"lab/internal/metrics"
	"lab/internal/service"
)

// switchOff turns the flag off as an operator does.
func switchOff(t *testing.T, flag *admin.Flag) {
	t.Helper()
	r := httptest.NewRequest("PUT", "/flags/recommendations", strings.NewReader(`{"enabled":false}`))
	r.Header.Set("Authorization", "Bearer for-the-test")
	rec := httptest.NewRecorder()
	admin.API("for-the-test", []admin.Point{flag}).ServeHTTP(rec, r)
	if rec.Code != 200 {
		t.Fatalf("got %d %s", rec.Code, rec.Body)
	}
}

func TestReceiptSaysWhatOrdersDidAndRecommendsOnlyIfTheFlagIsOn(t *testing.T) {
	orders := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"order_id":7,"charge_deferred":true}`))
	}))
	defer orders.Close()
	s := &shop{
		orders:       service.NewClient(new(metrics.Registry), "orders", orders.URL),
		shelf:        newShelf(),
		recommending: admin.NewFlag("recommendations", true),
	}
	got, err := s.checkout(t.Context(), checkout{"ada", 1000})
	if err != nil || got.OrderID != 7 || !got.ChargeDeferred || len(got.Recommended) == 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	switchOff(t, s.recommending)
	if got, err = s.checkout(t.Context(), checkout{"ada", 1000}); err != nil || got.OrderID != 7 || got.Recommended != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}
