package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lab/internal/admin"
	"lab/internal/metrics"
	"lab/internal/redis"
)

// TestPoolSizeIsChangedWhileItRuns goes the way from the API to the pool.
func TestPoolSizeIsChangedWhileItRuns(t *testing.T) {
	registry := new(metrics.Registry)
	client := redis.New(registry, "127.0.0.1:1")
	desk := &desk{newBook(), newCashier(registry, "http://127.0.0.1:1"), &store{client}, newArchive(client)}
	api := admin.API(token, app(desk, registry, client).Admin)
	for body, want := range map[string]int{`{"value":24}`: http.StatusOK, `{"value":257}`: http.StatusBadRequest} {
		r := httptest.NewRequest("PUT", "/settings/redis_pool_size", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		rec := httptest.NewRecorder()
		if api.ServeHTTP(rec, r); rec.Code != want {
			t.Errorf("%s: got %d %s", body, rec.Code, rec.Body)
		}
	}
	if text := string(registry.Expose()); !strings.Contains(text, "redis_pool_size 24\n") {
		t.Errorf("got %s", text)
	}
}
