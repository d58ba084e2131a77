package service

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"lab/internal/faults"
)

type greeting struct {
	Name string `json:"name"`
}

// testApp has one route that takes the state lock and fails for some names.
func testApp(state *sync.Mutex) App {
	serve := func(ctx context.Context, in greeting) (string, error) {
		state.Lock()
		defer state.Unlock()
		if in.Name == "" {
			return "", Fail(http.StatusTeapot, "A name is needed.")
		}
		return "hello " + in.Name, ctx.Err()
	}
	return App{
		Name:    "test",
		Timeout: 50 * time.Millisecond,
		Routes:  []Route{{Method: "POST", Path: "/greet", Handler: JSON(serve)}},
		State:   state,
		Check:   func() { state.Lock(); state.Unlock() },
	}
}

func start(t *testing.T, state *sync.Mutex) string {
	srv := httptest.NewServer(testApp(state).handler(faults.New(state)))
	t.Cleanup(srv.Close)
	return srv.URL
}

func expect(t *testing.T, method, url, body string, code int, text string) {
	t.Helper()
	rec := httptest.NewRecorder()
	req, _ := http.NewRequest(method, url, strings.NewReader(body))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	rec.Body.ReadFrom(resp.Body)
	if resp.StatusCode != code || !strings.Contains(rec.Body.String(), text) {
		t.Errorf("%s %s: got %d %s; want %d and %q", method, url, resp.StatusCode, rec.Body, code, text)
	}
}

func TestRequestsAreServedAndCounted(t *testing.T) {
	url := start(t, new(sync.Mutex))
	expect(t, "GET", url+"/metrics", "", 200, `http_requests_total{code="500",method="POST",path="/greet"} 0`)
	expect(t, "POST", url+"/greet", `{"name":"ada"}`, 200, "hello ada")
	expect(t, "POST", url+"/greet", `{}`, 418, `{"error":"A name is needed."}`)
	expect(t, "POST", url+"/greet", `no`, 400, "not the expected JSON")
	expect(t, "GET", url+"/healthz", "", 200, "ok")
	expect(t, "GET", url+"/metrics", "", 200, `http_requests_total{code="200",method="POST",path="/greet"} 1`)
	expect(t, "GET", url+"/metrics", "", 200, `http_request_duration_seconds_count{path="/greet"} 3`)
	expect(t, "GET", url+"/metrics", "", 200, `build_info{service="test",release="dev"} 1`)
}

func TestHeldStateLock(t *testing.T) {
	var state sync.Mutex
	url := start(t, &state)
	state.Lock()
	expect(t, "POST", url+"/greet", `{"name":"ada"}`, 503, "test did not finish in time")
	expect(t, "GET", url+"/healthz", "", 503, "state lock")
	expect(t, "GET", url+"/debug/pprof/goroutine?debug=2", "", 200, "[sync.Mutex.Lock]")
	expect(t, "GET", url+"/metrics", "", 200, `http_requests_total{code="503",method="POST",path="/greet"} 1`)
	state.Unlock()
	expect(t, "GET", url+"/healthz", "", 200, "ok")
	expect(t, "POST", url+"/greet", `{"name":"ada"}`, 200, "hello ada")
}

func TestCallerThatLeavesIsNotAnError(t *testing.T) {
	var state sync.Mutex
	url := start(t, &state)
	state.Lock()
	defer state.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	NewClient("greeter", url).Post(ctx, "/greet", greeting{"ada"}, nil)
	time.Sleep(100 * time.Millisecond)
	expect(t, "GET", url+"/metrics", "", 200, `http_requests_total{code="499",method="POST",path="/greet"} 1`)
}

func TestClientPassesOnWhatWentWrong(t *testing.T) {
	url := start(t, new(sync.Mutex))
	c := NewClient("greeter", url+"/")
	var text string
	if err := c.Post(t.Context(), "/greet", greeting{"ada"}, &text); err != nil || text != "hello ada" {
		t.Errorf("got %q, %v", text, err)
	}
	err := c.Post(t.Context(), "/greet", greeting{}, &text)
	if known, ok := err.(*Error); !ok || known.Code != 502 || known.Reason != "greeter answered 418: A name is needed." {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Post(ctx, "/greet", greeting{"ada"}, &text); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("got %v", err)
	}
}

func TestFaultsAPINeedsAToken(t *testing.T) {
	t.Setenv(faultsTokenEnv, "")
	listen, side := "127.0.0.1:0", "127.0.0.1:0"
	_, err := listenAll(testApp(new(sync.Mutex)), Addresses{&listen, &side}, faults.New(new(sync.Mutex)))
	if err == nil || !strings.Contains(err.Error(), faultsTokenEnv) {
		t.Errorf("got %v", err)
	}
}

func TestShutdownEndsSlowRequestsWithinItsGrace(t *testing.T) {
	entered := make(chan struct{})
	srv, err := bind("127.0.0.1:0", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go http.Get("http://" + srv.Listener.Addr().String())
	go func() { <-entered; cancel() }()
	started := time.Now()
	if err := serveAll(ctx, []bound{srv}); err != nil || time.Since(started) > shutdownGrace+300*time.Millisecond {
		t.Errorf("got %v after %v", err, time.Since(started))
	}
	srv.Server.Close()
}
