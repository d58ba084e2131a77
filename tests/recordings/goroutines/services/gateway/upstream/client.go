// Package upstream talks to what stands behind the gateway.
package upstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"example.com/gateway/internal/runtime"
)

// case proxy_fetch: http_client_no_timeout, service, path=/fetch
func MountFetch(a *runtime.App) {
	a.Mux.HandleFunc("/fetch", func(w http.ResponseWriter, r *http.Request) {
		answer, err := http.Get("http://" + a.Upstream + "/hang/" + r.URL.Query().Get("id")) // ROOT proxy_fetch
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		_, _ = io.Copy(w, answer.Body)
	})
}

// identity asks the identity provider about tokens.
type identity struct {
	http *http.Client
	url  string
}

func (i *identity) introspect(token string) (bool, error) {
	var claims struct{ Active bool }
	if err := i.post("/hang/introspect", "token="+token, &claims); err != nil {
		return false, err
	}
	return claims.Active, nil
}

func (i *identity) post(path, form string, into any) error {
	answer, err := i.http.Post(i.url+path, "application/x-www-form-urlencoded", strings.NewReader(form)) // ROOT proxy_introspect
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return json.NewDecoder(answer.Body).Decode(into)
}

// case proxy_introspect: http_client_no_timeout, service, path=/me
func MountIntrospect(a *runtime.App) {
	provider := &identity{http: &http.Client{Transport: &http.Transport{MaxIdleConns: 20}}, url: "http://" + a.Upstream}
	authenticated := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if active, err := provider.introspect(r.Header.Get("Authorization")); err != nil || !active {
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	a.Mux.Handle("/me", authenticated(http.NotFoundHandler()))
}

type webhook struct {
	url     string
	payload []byte
}

func (h webhook) deliver(client *http.Client) {
	request, err := http.NewRequest(http.MethodPut, h.url, strings.NewReader(string(h.payload)))
	if err != nil {
		return
	}
	answer, err := client.Do(request) // ROOT proxy_webhook
	if err == nil {
		answer.Body.Close()
	}
}

// case proxy_webhook: http_client_no_timeout, service, path=/event, workers=80
func MountWebhook(a *runtime.App) {
	client := &http.Client{}
	a.Mux.HandleFunc("/event", func(w http.ResponseWriter, r *http.Request) {
		hook := webhook{url: "http://" + a.Upstream + "/hang/hook", payload: []byte(r.URL.RawQuery)}
		go hook.deliver(client) // CREATED proxy_webhook
		w.WriteHeader(http.StatusAccepted)
	})
}

// case proxy_probe: http_body_not_closed, service, path=/probe, absent=net/http.(*persistConn).readLoop
func MountProbe(a *runtime.App) {
	alive := func() bool {
		answer, err := http.Get("http://" + a.Upstream + "/stream") // ROOT proxy_probe
		return err == nil && answer.StatusCode == http.StatusOK
	}
	a.Mux.HandleFunc("/probe", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, alive()) })
}

var errUpstream = errors.New("the upstream failed")

func load(client *http.Client, address string) ([]byte, error) {
	answer, err := client.Get(address) // ROOT proxy_error_page
	if err != nil {
		return nil, err
	}
	if answer.StatusCode >= http.StatusInternalServerError {
		return nil, fmt.Errorf("%s: %w", answer.Status, errUpstream)
	}
	defer answer.Body.Close()
	return io.ReadAll(answer.Body)
}

// case proxy_error_page: http_body_not_closed, service, path=/page, absent=net/http.(*persistConn).readLoop
func MountErrorPage(a *runtime.App) {
	client := &http.Client{Timeout: time.Hour}
	a.Mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		page, err := load(client, "http://"+a.Upstream+"/fail")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_, _ = w.Write(page)
	})
}

type sniffer struct{ client http.Client }

func (s *sniffer) kind(address string) (string, error) {
	request, err := http.NewRequestWithContext(context.WithoutCancel(context.Background()), http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	answer, err := s.client.Do(request) // ROOT proxy_sniff
	if err != nil {
		return "", err
	}
	head := make([]byte, 4)
	_, err = io.ReadFull(answer.Body, head)
	return http.DetectContentType(head), err
}

// case proxy_sniff: http_body_not_closed, service, path=/kind, absent=net/http.(*persistConn).readLoop
func MountSniff(a *runtime.App) {
	var s sniffer
	a.Mux.HandleFunc("/kind", func(w http.ResponseWriter, r *http.Request) {
		kind, err := s.kind("http://" + a.Upstream + "/stream")
		fmt.Fprintln(w, kind, err)
	})
}

// case proxy_in_flight: healthy, path=/api, flow=12
func MountReverse(a *runtime.App) {
	target, err := url.Parse("http://" + a.Upstream + "/slow")
	if err != nil {
		panic(err)
	}
	a.Mux.Handle("/api", httputil.NewSingleHostReverseProxy(target))
}

// case proxy_pooled: healthy, path=/warm, n=32,0
func MountPooled(a *runtime.App) {
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Hour}}
	a.Mux.HandleFunc("/warm", func(w http.ResponseWriter, r *http.Request) {
		answer, err := client.Get("http://" + a.Upstream + "/ok")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer answer.Body.Close()
		_, _ = io.Copy(w, answer.Body)
	})
}

// source keeps one token for all and renews it when it is old.
type source struct {
	sync.RWMutex
	client *http.Client
	url    string
	token  string
}

func (s *source) get() string {
	s.RLock() // VICTIM proxy_token
	token := s.token
	s.RUnlock()
	if token == "" {
		return s.renew()
	}
	return token
}

func (s *source) renew() string {
	s.Lock() // VICTIM proxy_token
	defer s.Unlock()
	answer, err := s.client.Get(s.url) // ROOT proxy_token
	if err != nil {
		return ""
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	s.token = string(body)
	return s.token
}

// case proxy_token: mutex_held_across_io, service, path=/call
func MountToken(a *runtime.App) {
	tokens := &source{client: http.DefaultClient, url: "http://" + a.Upstream + "/hang/token"}
	a.Mux.HandleFunc("/call", func(w http.ResponseWriter, r *http.Request) {
		done := make(chan string, 1)
		go func() { done <- tokens.get() }() // CREATED proxy_token
		select {
		case token := <-done:
			fmt.Fprintln(w, token)
		case <-time.After(100 * time.Millisecond):
			http.Error(w, "no token", http.StatusServiceUnavailable)
		}
	})
}
