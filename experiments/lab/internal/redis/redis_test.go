package redis

import (
	"bufio"
	"context"
	"errors"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lab/internal/metrics"
)

// fakeServer answers each command with what reply says; "" closes the
// connection and "hang" stays silent.
type fakeServer struct {
	addr     string
	accepted atomic.Int32
}

func startFake(t *testing.T, reply func(args []string) string) *fakeServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	f := &fakeServer{addr: l.Addr().String()}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			f.accepted.Add(1)
			go serveFake(nc, reply)
		}
	}()
	return f
}

func serveFake(nc net.Conn, reply func(args []string) string) {
	defer nc.Close()
	in := bufio.NewReader(nc)
	for {
		command, err := readReply(in)
		if err != nil {
			return
		}
		var args []string
		for _, item := range command.([]any) {
			args = append(args, item.(string))
		}
		answer := reply(args)
		if answer == "" {
			return
		}
		if answer != "hang" {
			nc.Write([]byte(answer))
		}
	}
}

func TestRepliesOfEveryKind(t *testing.T) {
	answers := map[string]string{
		"PING": "+PONG\r\n",
		"INCR": ":42\r\n",
		"GET":  "$7\r\na\r\nb c!\r\n",
		"NIL":  "$-1\r\n",
		"LIST": "*2\r\n:1\r\n$1\r\nx\r\n",
	}
	f := startFake(t, func(args []string) string { return answers[args[0]] })
	c := New(new(metrics.Registry), f.addr)
	defer c.Close()
	want := map[string]any{
		"PING": "PONG", "INCR": int64(42), "GET": "a\r\nb c!", "NIL": nil, "LIST": []any{int64(1), "x"},
	}
	for name, value := range want {
		got, err := c.Do(t.Context(), name)
		if err != nil || !reflect.DeepEqual(got, value) {
			t.Errorf("%s: got %#v, %v; want %#v", name, got, err, value)
		}
	}
	if n := f.accepted.Load(); n != 1 {
		t.Errorf("%d connections for serial calls, want 1", n)
	}
}

func TestPipelineReturnsTheServersErrorAndKeepsTheConnection(t *testing.T) {
	f := startFake(t, func(args []string) string {
		if args[0] == "BAD" {
			return "-ERR no such thing\r\n"
		}
		return ":" + args[1] + "\r\n"
	})
	c := New(new(metrics.Registry), f.addr)
	defer c.Close()
	_, err := c.Pipeline(t.Context(), Command{"BAD"}, Command{"OK", "2"})
	var reply Error
	if !errors.As(err, &reply) || !strings.Contains(reply.Error(), "no such thing") {
		t.Fatalf("got %v", err)
	}
	if got, err := c.Do(t.Context(), "OK", "3"); err != nil || got != int64(3) {
		t.Errorf("got %v, %v", got, err)
	}
	if n := f.accepted.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestContextEndsASilentCall(t *testing.T) {
	f := startFake(t, func([]string) string { return "hang" })
	c := New(new(metrics.Registry), f.addr)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, cancel)
	started := time.Now()
	_, err := c.Do(ctx, "PING")
	if !errors.Is(err, context.Canceled) || time.Since(started) > 200*time.Millisecond {
		t.Errorf("got %v after %v", err, time.Since(started))
	}
	if len(c.pool.idle) != 0 {
		t.Error("a connection with an open reply went back to the pool")
	}
}

func TestOldConnectionIsReplaced(t *testing.T) {
	var calls atomic.Int32
	f := startFake(t, func([]string) string {
		if calls.Add(1) == 2 {
			return "" // as after a server restart
		}
		return "+OK\r\n"
	})
	c := New(new(metrics.Registry), f.addr)
	defer c.Close()
	for range 2 {
		if got, err := c.Do(t.Context(), "PING"); err != nil || got != "OK" {
			t.Errorf("got %v, %v", got, err)
		}
	}
	if n := f.accepted.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestMalformedRepliesAreRefused(t *testing.T) {
	for _, text := range []string{"?\r\n", ":x\r\n", "$99999999999\r\n", "*-2\r\n", "+no end\n", "\r\n"} {
		if _, err := readReply(bufio.NewReader(strings.NewReader(text))); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}
