package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"math/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

func listen(serve func(net.Conn)) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return listener.Addr().String()
}

func dial(address string) net.Conn {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	return conn
}

// resolveNames asks a name server that takes so long, before every call.
func resolveNames(delay time.Duration) {
	server := nameServer(delay)
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server)
	}}
	every(10*time.Millisecond, 8, func(int) {
		began := time.Now()
		if _, err := resolver.LookupNetIP(context.Background(), "ip4", "payments.example."); err != nil {
			count("dns_lookup_failures_total", 1)
		}
		observe("dns_lookup_duration_seconds", time.Since(began))
	})
}

// nameServer answers every question for an address with 127.0.0.1 (RFC 1035, section 4).
func nameServer(delay time.Duration) string {
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for {
			question := make([]byte, 512)
			n, from, err := socket.ReadFrom(question)
			if err != nil {
				return
			}
			go func() {
				time.Sleep(delay)
				socket.WriteTo(reply(question[:n]), from)
			}()
		}
	}()
	return socket.LocalAddr().String()
}

func reply(question []byte) []byte {
	end := 12
	for question[end] != 0 {
		end += 1 + int(question[end])
	}
	end += 5
	answer := append([]byte{}, question[:end]...)
	copy(answer[2:], []byte{0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0})
	return append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1)
}

// shakeHands opens a new TLS connection for every call, to a server that takes so long to begin.
func shakeHands(delay time.Duration) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Listener = late{server.Listener, delay}
	server.StartTLS()
	transport := server.Client().Transport.(*http.Transport)
	transport.DisableKeepAlives = true
	transport.TLSHandshakeTimeout = 400 * time.Millisecond
	every(20*time.Millisecond, 6, func(int) { get(server.Client(), server.URL) })
}

type late struct {
	net.Listener
	delay time.Duration
}

type lateConn struct {
	net.Conn
	delay time.Duration
	begun atomic.Bool
}

func (l late) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	jitter := time.Duration(rand.Int63n(int64(l.delay/4 + 1)))
	return &lateConn{Conn: conn, delay: l.delay + jitter}, err
}

func (c *lateConn) Read(into []byte) (int, error) {
	if c.begun.CompareAndSwap(false, true) {
		time.Sleep(c.delay)
	}
	return c.Conn.Read(into)
}

func get(client *http.Client, url string) {
	var began time.Time
	trace := &httptrace.ClientTrace{
		TLSHandshakeStart: func() { began = time.Now() },
		TLSHandshakeDone: func(tls.ConnectionState, error) {
			observe("tls_handshake_duration_seconds", time.Since(began))
		},
	}
	request, _ := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), "GET", url, nil)
	answer, err := client.Do(request)
	var failed net.Error
	if errors.As(err, &failed) && failed.Timeout() {
		count("tls_handshake_timeouts_total", 1)
	}
	if err == nil {
		answer.Body.Close()
	}
}

// callDownstream tries every call up to four times at once; after 12 s this share of the answers is an error.
func callDownstream(failing float64) {
	began := time.Now()
	downstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if time.Since(began) > 12*time.Second && rand.Float64() < failing {
			time.Sleep(20 * time.Millisecond)
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	client := downstream.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	every(50*time.Millisecond, 10, func(int) {
		status := http.StatusBadGateway
		for try := 0; try < 4 && status >= http.StatusInternalServerError; try++ {
			status = call(client, downstream.URL)
		}
		count(fmt.Sprintf("http_requests_total{code=\"%d\"}", status), 1)
	})
}

func call(client *http.Client, url string) int {
	answer, err := client.Get(url)
	status := http.StatusBadGateway
	if err == nil {
		status = answer.StatusCode
		answer.Body.Close()
	}
	count(fmt.Sprintf("http_client_requests_total{code=\"%d\"}", status), 1)
	return status
}
