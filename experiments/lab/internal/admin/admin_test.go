package admin

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lab/internal/metrics"
)

const token = "for-the-test"

func call(api http.Handler, method, path, ifMatch, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	if ifMatch != "" {
		r.Header.Set("If-Match", ifMatch)
	}
	rec := httptest.NewRecorder()
	api.ServeHTTP(rec, r)
	return rec
}

func testAPI() (api http.Handler, size *Setting, applied *[]int64) {
	applied = new([]int64)
	size = NewSetting("size", "connections", 1, 256, 16, func(n int64) { *applied = append(*applied, n) })
	return API(token, []Point{size, NewBreaker("payments"), NewFlag("offers", true)}), size, applied
}

func TestSettingIsReadAndChanged(t *testing.T) {
	api, size, applied := testAPI()
	const before, after = `{"value":16,"min":1,"max":256,"unit":"connections"}`, `{"value":24,"min":1,"max":256,"unit":"connections"}`
	for _, c := range []struct{ method, path, body, want string }{
		{"GET", "/settings", "", `{"size":` + before + `}`},
		{"GET", "/settings/size", "", before},
		{"PUT", "/settings/size", `{"value":24}`, after},
		{"GET", "/settings/size", "", after},
	} {
		rec := call(api, c.method, c.path, "", c.body)
		if got := strings.TrimSpace(rec.Body.String()); rec.Code != 200 || got != c.want {
			t.Errorf("%s %s: got %d %s, want %s", c.method, c.path, rec.Code, got, c.want)
		}
	}
	if size.Value() != 24 || len(*applied) != 1 || (*applied)[0] != 24 {
		t.Errorf("value %d, applied %v", size.Value(), *applied)
	}
}

func TestBadInputChangesNothing(t *testing.T) {
	api, size, applied := testAPI()
	for _, c := range []struct {
		method, path, body string
		code               int
	}{
		{"GET", "/secrets", ``, 404},
		{"GET", "/settings/colour", ``, 404},
		{"PUT", "/settings/colour", `{"value":1}`, 404},
		{"PUT", "/settings/size", ``, 400},
		{"PUT", "/settings/size", `{}`, 400},
		{"PUT", "/settings/size", `{"value":0}`, 400},
		{"PUT", "/settings/size", `{"value":257}`, 400},
		{"PUT", "/settings/size", `{"value":24.5}`, 400},
		{"PUT", "/settings/size", `{"value":"24"}`, 400},
		{"PUT", "/settings/size", `{"value":24,"max":999}`, 400},
		{"PUT", "/settings/size", `{"value":24} {}`, 400},
		{"PUT", "/settings/size", `{"value":24` + strings.Repeat(" ", 5<<10) + `}`, 400},
		{"PUT", "/breakers/payments", `{"state":"half_open"}`, 400},
		{"PUT", "/breakers/payments", `{"state":"open","ttl_s":0}`, 400},
		{"PUT", "/breakers/payments", `{"state":"open","ttl_s":601}`, 400},
		{"PUT", "/flags/offers", `{}`, 400},
		{"PUT", "/flags/offers", `{"enabled":1}`, 400},
	} {
		rec := call(api, c.method, c.path, "", c.body)
		var said map[string]string
		if err := json.Unmarshal(rec.Body.Bytes(), &said); rec.Code != c.code || err != nil || !strings.HasSuffix(said["error"], ".") {
			t.Errorf("%s %s %.40s: got %d %s", c.method, c.path, c.body, rec.Code, rec.Body)
		}
	}
	if size.Value() != 16 || len(*applied) != 0 {
		t.Errorf("value %d, applied %v", size.Value(), *applied)
	}
}

func TestTokenIsNeeded(t *testing.T) {
	api, _, _ := testAPI()
	r := httptest.NewRequest("GET", "/settings", nil)
	rec := httptest.NewRecorder()
	api.ServeHTTP(rec, r)
	if rec.Code != 401 {
		t.Errorf("got %d", rec.Code)
	}
}

func TestOnlyOneOfManyWritersOfAVersionWins(t *testing.T) {
	api, _, applied := testAPI()
	seen := call(api, "GET", "/settings/size", "", "").Header().Get("ETag")
	codes := make(chan int, 8)
	var writers sync.WaitGroup
	for range cap(codes) {
		writers.Go(func() { codes <- call(api, "PUT", "/settings/size", seen, `{"value":24}`).Code })
	}
	writers.Wait()
	close(codes)
	count := map[int]int{}
	for code := range codes {
		count[code]++
	}
	if count[200] != 1 || count[412] != 7 || len(*applied) != 1 {
		t.Errorf("got %v, applied %v", count, *applied)
	}
}

func TestTheTagOfAWriteFitsUntilTheNextChange(t *testing.T) {
	api, _, _ := testAPI()
	for path, bodies := range map[string][2]string{
		"/settings/size":     {`{"value":24}`, `{"value":16}`},
		"/breakers/payments": {`{"state":"open"}`, `{"state":"closed"}`},
		"/flags/offers":      {`{"enabled":false}`, `{"enabled":true}`},
	} {
		mine := call(api, "PUT", path, "*", bodies[0]).Header().Get("ETag")
		if got := call(api, "GET", path, "", "").Header().Get("ETag"); mine == "" || got != mine {
			t.Errorf("%s: got %s, want %s", path, got, mine)
		}
		undone := call(api, "PUT", path, `"other", `+mine, bodies[1])
		again := call(api, "PUT", path, mine, bodies[0])
		if undone.Code != 200 || again.Code != 412 || again.Header().Get("ETag") != undone.Header().Get("ETag") {
			t.Errorf("%s: got %d and %d %s", path, undone.Code, again.Code, again.Body)
		}
	}
}

func TestFlag(t *testing.T) {
	f := NewFlag("offers", true)
	api := API(token, []Point{f})
	rec := call(api, "PUT", "/flags/offers", "", `{"enabled":false}`)
	if f.Enabled() || strings.TrimSpace(rec.Body.String()) != `{"enabled":false}` {
		t.Errorf("got %t, %s", f.Enabled(), rec.Body)
	}
}

// probe makes one call if it may, and says if it could.
func probe(b *Breaker, failed bool) bool {
	report, ok := b.Allow()
	if ok {
		report(failed)
	}
	return ok
}

func stateOf(t *testing.T, api http.Handler) breakerView {
	t.Helper()
	var view breakerView
	if err := json.Unmarshal(call(api, "GET", "/breakers/payments", "", "").Body.Bytes(), &view); err != nil {
		t.Fatal(err)
	}
	return view
}

func TestBreakerOpensOnlyWhenTold(t *testing.T) {
	b := NewBreaker("payments")
	api := API(token, []Point{b})
	for n := range 200 {
		if !probe(b, n%2 == 0) {
			t.Fatal("a closed breaker let a call not through")
		}
	}
	if got := stateOf(t, api); got.State != "closed" || got.Failures != .5 || got.Calls != 100 {
		t.Errorf("got %+v", got)
	}
	call(api, "PUT", "/breakers/payments", "", `{"state":"open"}`)
	if probe(b, false) {
		t.Error("an open breaker let a call through")
	}
}

func TestForcedOpenBreakerProbesAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker("payments")
		api := API(token, []Point{b})
		opened := call(api, "PUT", "/breakers/payments", "", `{"state":"open","ttl_s":10}`).Header().Get("ETag")
		time.Sleep(9 * time.Second)
		if got := stateOf(t, api); got.State != "open" || got.HalfOpenInS != 1 {
			t.Errorf("got %+v", got)
		}
		time.Sleep(time.Second)
		if got := stateOf(t, api).State; got != "half_open" {
			t.Errorf("got %s", got)
		}
		if code := call(api, "PUT", "/breakers/payments", opened, `{"state":"closed"}`).Code; code != 412 {
			t.Errorf("the tag of the open breaker fits the half-open one: %d", code)
		}
		probe(b, true)
		if got := stateOf(t, api); got.State != "open" || got.HalfOpenInS != 10 {
			t.Errorf("after a bad probe: got %+v", got)
		}
		time.Sleep(10 * time.Second)
		for range probesToClose {
			probe(b, false)
		}
		if got := stateOf(t, api).State; got != "closed" {
			t.Errorf("after good probes: got %s", got)
		}
	})
}

func TestOneProbeAtATimeAndLateReportsDecideNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker("payments")
		late, _ := b.Allow()
		b.force(Open, time.Second)
		time.Sleep(time.Second)
		first, ok := b.Allow()
		if _, second := b.Allow(); !ok || second {
			t.Errorf("got %t and %t", ok, second)
		}
		late(true)
		first(false)
		var registry metrics.Registry
		registry.Register(b)
		if got := string(registry.Expose()); !strings.Contains(got, `breaker_state{upstream="payments"} 1`) {
			t.Errorf("got %s", got)
		}
	})
}
