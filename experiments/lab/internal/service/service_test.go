package service

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"lab/internal/faults"
	"lab/internal/logvolume"
	"lab/internal/metrics"
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
		Metrics: new(metrics.Registry),
	}
}

func start(t *testing.T, state *sync.Mutex) string {
	srv := httptest.NewServer(testApp(state).handler(faults.New(state), nil))
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
	NewClient(new(metrics.Registry), "greeter", url).Post(ctx, "/greet", greeting{"ada"}, nil)
	time.Sleep(100 * time.Millisecond)
	expect(t, "GET", url+"/metrics", "", 200, `http_requests_total{code="499",method="POST",path="/greet"} 1`)
}

func TestClientPassesOnWhatWentWrong(t *testing.T) {
	url := start(t, new(sync.Mutex))
	c := NewClient(new(metrics.Registry), "greeter", url+"/")
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

// flags returns what a command line without any would give, with what set changes.
func flags(set func(f *Flags)) Flags {
	listen, none, volume := "127.0.0.1:0", "", int64(1)
	f := Flags{&listen, &none, &none, &none, &volume}
	set(&f)
	return f
}

func TestSideAPIsNeedATokenAndWorkWithIt(t *testing.T) {
	side := "127.0.0.1:0"
	for env, set := range map[string]func(*Flags){
		faultsTokenEnv: func(f *Flags) { f.faults = &side },
		adminTokenEnv:  func(f *Flags) { f.admin = &side },
	} {
		t.Setenv(env, "")
		if _, err := listenAll(testApp(new(sync.Mutex)), flags(set)); err == nil || !strings.Contains(err.Error(), env) {
			t.Errorf("%s: got %v", env, err)
		}
		t.Setenv(env, "for-the-test")
		servers, err := listenAll(testApp(new(sync.Mutex)), flags(set))
		if err != nil || len(servers) != 2 {
			t.Fatalf("%s: got %d servers, %v", env, len(servers), err)
		}
		for path, want := range map[string]int{"/settings": 200, "/faults": 200} {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set("Authorization", "Bearer for-the-test")
			rec := httptest.NewRecorder()
			servers[1].Handler.ServeHTTP(rec, r)
			if served := (path == "/faults") == (env == faultsTokenEnv); served != (rec.Code == want) {
				t.Errorf("%s %s: got %d", env, path, rec.Code)
			}
		}
		for _, s := range servers {
			s.Listener.Close()
		}
	}
}

func TestWhatCannotBeLoggedIsNotDone(t *testing.T) {
	state := new(sync.Mutex)
	app := testApp(state)
	path := filepath.Join(t.TempDir(), "requests.log")
	log, err := logvolume.Open(app.Metrics, path, 300)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(app.handler(faults.New(state), log))
	defer srv.Close()
	expect(t, "POST", srv.URL+"/greet", `{"name":"ada"}`, 200, "hello ada")
	expect(t, "POST", srv.URL+"/greet", `{"name":"ada"}`, 500, "no space left on device")
	expect(t, "GET", srv.URL+"/healthz", "", 200, "ok")
	text, _ := os.ReadFile(path)
	var line auditLine
	if err := json.Unmarshal(text, &line); err != nil || line.Path != "/greet" || line.Method != "POST" || line.RequestID == "" {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestClientCountsEveryTryByWhatCameOfIt(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-release
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer srv.Close()
	defer close(release)
	var registry metrics.Registry
	c := NewClient(&registry, "greeter", srv.URL)
	var known *Error
	if err := c.Post(t.Context(), "/busy", greeting{}, nil); !errors.As(err, &known) || known.Upstream != 503 {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	c.Post(ctx, "/slow", greeting{}, nil)
	gone, leave := context.WithCancel(t.Context())
	leave()
	c.Post(gone, "/slow", greeting{}, nil)
	c.base = "http://127.0.0.1:1"
	c.Post(t.Context(), "/", greeting{}, nil)
	for _, code := range []string{"503", "504", "499", "502"} {
		if line := `http_client_requests_total{code="` + code + `",upstream="greeter"} 1`; !strings.Contains(string(registry.Expose()), line) {
			t.Errorf("%s is missing in\n%s", line, registry.Expose())
		}
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
