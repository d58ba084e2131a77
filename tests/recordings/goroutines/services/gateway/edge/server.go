// Package edge is what clients connect to.
package edge

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"

	"example.com/gateway/internal/runtime"
)

// case edge_admin: server_no_read_timeout, service, port=admin, client=half, absent=net/http.(*conn).serve
func MountAdmin(a *runtime.App) {
	a.Listen("admin", &http.Server{Handler: a.Mux, MaxHeaderBytes: 1 << 16}) // ROOT edge_admin
}

// case edge_upload: server_no_read_timeout, service, path=/upload, client=body
func MountUpload(a *runtime.App) {
	a.Mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		document, err := receive(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, len(document))
	})
}

func receive(body io.ReadCloser) ([]byte, error) {
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, 1<<20)) // ROOT edge_upload
}

// case edge_tls: server_no_read_timeout, service, port=secure, client=silent, absent=net/http.(*conn).serve
func MountTLS(a *runtime.App) {
	server := &http.Server{Handler: a.Mux, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate()}}} // ROOT edge_tls
	listener := runtime.Port("secure")
	go func() {
		if err := server.ServeTLS(listener, "", ""); err != nil {
			log.Print(err)
		}
	}()
}

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// case edge_idle: server_no_read_timeout, service, port=public, path=/hello, client=keep, absent=net/http.(*conn).serve
func MountIdle(a *runtime.App) {
	mux := http.NewServeMux()
	mux.HandleFunc("/hello", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	a.Listen("public", &http.Server{Handler: mux, ReadHeaderTimeout: 0, WriteTimeout: time.Minute}) // ROOT edge_idle
}

// session is one client of the line protocol.
type session struct {
	net.Conn
	lines *bufio.Scanner
}

func (s *session) serve() {
	defer s.Close()
	for s.lines.Scan() { // ROOT edge_line_protocol
		if s.lines.Text() == "QUIT" {
			return
		}
		fmt.Fprintln(s, "OK", s.lines.Text())
	}
}

// case edge_line_protocol: net_read_no_deadline, service, port=lines, client=greet
func MountLines(*runtime.App) {
	listener := runtime.Port("lines")
	go accept(listener, func(conn net.Conn) *session {
		return &session{Conn: conn, lines: bufio.NewScanner(conn)}
	})
}

func accept(listener net.Listener, open func(net.Conn) *session) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			go open(conn).serve() // CREATED edge_line_protocol
		}
	}
}

// frames are what an upgraded connection carries.
type frames struct {
	raw net.Conn
}

func (f *frames) next() (kind byte, payload []byte, err error) {
	var head [2]byte
	if _, err = io.ReadFull(f.raw, head[:]); err != nil { // ROOT edge_upgrade
		return 0, nil, err
	}
	payload = make([]byte, head[1])
	_, err = io.ReadFull(f.raw, payload)
	return head[0], payload, err
}

func pump(f *frames) {
	defer f.raw.Close()
	for {
		if _, _, err := f.next(); err != nil {
			return
		}
	}
}

// case edge_upgrade: net_read_no_deadline, service, path=/socket, client=patient, visitors=80
func MountUpgrade(a *runtime.App) {
	a.Mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusUpgradeRequired)
			return
		}
		_ = conn.SetDeadline(time.Time{})
		go pump(&frames{raw: conn}) // CREATED edge_upgrade
	})
}

// case edge_keepalive: healthy, path=/ping, client=keep, n=140,0
func MountKeepAlive(a *runtime.App) {
	a.Mux.HandleFunc("/ping", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "pong") })
}

// case edge_long_poll: healthy, path=/changes, client=patient, n=60,60, again
func MountLongPoll(a *runtime.App) {
	a.Mux.HandleFunc("/changes", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(25 * time.Second):
			w.WriteHeader(http.StatusNoContent)
		case <-r.Context().Done():
		}
	})
}
