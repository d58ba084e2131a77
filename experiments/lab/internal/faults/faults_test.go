package faults

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"lab/internal/sideport"
)

const token = "for-the-test"

func call(api http.Handler, method, path, auth, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", auth)
	rec := httptest.NewRecorder()
	api.ServeHTTP(rec, r)
	return rec
}

func TestTokenIsNeeded(t *testing.T) {
	api := New(new(sync.Mutex)).API(token)
	for auth, code := range map[string]int{
		"": 401, "Bearer ": 401, "Bearer nope": 401, token: 401, "Bearer " + token: 200,
	} {
		if got := call(api, "GET", "/faults", auth, "").Code; got != code {
			t.Errorf("%q: got %d, want %d", auth, got, code)
		}
	}
	if got := call(New(new(sync.Mutex)).API(""), "GET", "/faults", "Bearer ", "").Code; got != 401 {
		t.Errorf("empty token: got %d", got)
	}
}

func TestBadInputIsRefusedInOneSentence(t *testing.T) {
	api := New(new(sync.Mutex)).API(token)
	for _, c := range []struct {
		method, path, body string
		code               int
	}{
		{"PUT", "/faults/flood", `{"value":1}`, 404},
		{"DELETE", "/faults/flood", ``, 404},
		{"PUT", "/faults/latency", ``, 400},
		{"PUT", "/faults/latency", `{}`, 400},
		{"PUT", "/faults/latency", `{"value":"10"}`, 400},
		{"PUT", "/faults/latency", `{"value":10,"unit":"ms"}`, 400},
		{"PUT", "/faults/latency", `{"value":10} {}`, 400},
		{"PUT", "/faults/latency", `{"value":-1}`, 400},
		{"PUT", "/faults/errors", `{"value":1.1}`, 400},
		{"PUT", "/faults/latency", `{"value":10,"ttl_s":601}`, 400},
		{"PUT", "/faults/latency", `{"value":10,"ttl_s":0}`, 400},
		{"PUT", "/faults/latency", `{"value":10` + strings.Repeat(" ", sideport.MaxBody) + `}`, 400},
	} {
		rec := call(api, c.method, c.path, "Bearer "+token, c.body)
		if rec.Code != c.code || !strings.Contains(rec.Body.String(), "latency, errors, hang, cpu, hot, memory") {
			t.Errorf("%s %s %.40s: got %d %s", c.method, c.path, c.body, rec.Code, rec.Body)
		}
	}
}

func TestFaultActsAndExpires(t *testing.T) {
	s := New(new(sync.Mutex))
	api := s.API(token)
	shop := s.Around(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))

	rec := call(api, "PUT", "/faults/errors", "Bearer "+token, `{"value":1,"ttl_s":0.1}`)
	var st Status
	if err := json.Unmarshal(rec.Body.Bytes(), &st); err != nil || !st.Active || st.ExpiresInS > .1 {
		t.Fatalf("got %s, %v", rec.Body, err)
	}
	if got := call(shop, "POST", "/", "", "").Code; got != 500 {
		t.Errorf("while set: got %d", got)
	}
	time.Sleep(200 * time.Millisecond)
	if got := call(shop, "POST", "/", "", "").Code; got != 200 {
		t.Errorf("after its time: got %d", got)
	}
	if body := call(api, "GET", "/faults", "Bearer "+token, "").Body.String(); strings.Contains(body, `"active":true`) {
		t.Errorf("still listed as set: %s", body)
	}
}

func TestPutAgainProlongs(t *testing.T) {
	s := New(new(sync.Mutex))
	k, _ := s.kind("latency")
	s.put(k, 5, 50*time.Millisecond)
	s.put(k, 5, time.Minute)
	time.Sleep(100 * time.Millisecond)
	if !s.list()[0].Active {
		t.Error("the first expiry ended the prolonged fault")
	}
	if st := s.clear(k); st.Active || s.traffic.delay.Load() != 0 {
		t.Error("not cleared")
	}
}

func TestLatency(t *testing.T) {
	s := New(new(sync.Mutex))
	s.put(s.kinds[0], 40, time.Minute)
	shop := s.Around(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	started := time.Now()
	call(shop, "POST", "/", "", "")
	if took := time.Since(started); took < 40*time.Millisecond {
		t.Errorf("took only %v", took)
	}
}

func TestHotRequestsComputeUntilTheirTimeIsOver(t *testing.T) {
	s := New(new(sync.Mutex))
	k, _ := s.kind("hot")
	s.put(k, 10_000, time.Minute)
	shop := http.TimeoutHandler(s.Around(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), 50*time.Millisecond, "late")
	if got := call(shop, "POST", "/", "", "").Code; got != 503 {
		t.Errorf("while set: got %d", got)
	}
	s.clear(k)
	if got := call(shop, "POST", "/", "", "").Code; got != 200 {
		t.Errorf("after it: got %d", got)
	}
}

func TestComputeEndsWithItsContext(t *testing.T) {
	if compute(t.Context(), 1000) == 0 {
		t.Error("nothing was computed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	started := time.Now()
	compute(ctx, 1<<40)
	if took := time.Since(started); took > time.Second {
		t.Errorf("took %v", took)
	}
}

func TestHangHoldsTheStateLock(t *testing.T) {
	var state sync.Mutex
	api := New(&state).API(token)
	if got := call(api, "PUT", "/faults/hang", "Bearer "+token, `{}`).Code; got != 200 {
		t.Fatalf("got %d", got)
	}
	eventually(t, "held", func() bool {
		if state.TryLock() {
			state.Unlock()
			return false
		}
		return true
	})
	call(api, "DELETE", "/faults/hang", "Bearer "+token, "")
	eventually(t, "free", state.TryLock)
}

func TestCPUAndMemoryStartAndEnd(t *testing.T) {
	s := New(new(sync.Mutex))
	for _, name := range []string{"cpu", "memory"} {
		k, _ := s.kind(name)
		if !s.put(k, 2, time.Minute).Active || s.clear(k).Active {
			t.Errorf("%s does not start or end", name)
		}
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 200 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("the lock never became %s", what)
}
