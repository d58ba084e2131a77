package redis

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lab/internal/metrics"
)

// takeSoon takes a place as a caller that waits 100 ms at most.
func takeSoon(t *testing.T, p *pool) error {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := p.take(ctx)
	return err
}

func TestFullPoolMakesCallersWaitAndGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{size: 2}
		if err := errors.Join(takeSoon(t, p), takeSoon(t, p)); err != nil {
			t.Fatal(err)
		}
		if err := takeSoon(t, p); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.AfterFunc(50*time.Millisecond, func() { p.give(nil) })
		if err := takeSoon(t, p); err != nil {
			t.Errorf("a place was given back, but: %v", err)
		}
		if size, inUse := p.usage(); size != 2 || inUse != 2 {
			t.Errorf("%d of %d in use", inUse, size)
		}
	})
}

func TestResizeServesThoseWhoWaitAtOnceInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{size: 1}
		p.take(t.Context())
		var served []int
		var mu sync.Mutex
		for n := range 4 {
			go func() {
				p.take(t.Context())
				mu.Lock()
				defer mu.Unlock()
				served = append(served, n)
			}()
			synctest.Wait()
		}
		for size := 2; size <= 5; size++ {
			p.resize(size)
			synctest.Wait()
		}
		if len(served) != 4 || served[0] != 0 || served[3] != 3 {
			t.Errorf("served in turn: %v", served)
		}
	})
}

func TestSmallerPoolWaitsForThoseInUse(t *testing.T) {
	p := &pool{size: 3}
	for range 3 {
		p.take(t.Context())
	}
	p.resize(1)
	p.give(nil)
	p.give(nil)
	if err := takeSoon(t, p); err == nil {
		t.Error("two are in use in a pool of one")
	}
	p.give(nil)
	if err := takeSoon(t, p); err != nil {
		t.Error(err)
	}
}

func TestResizedClientClosesWhatIsTooMuch(t *testing.T) {
	release := make(chan struct{})
	f := startFake(t, func([]string) string { <-release; return "+OK\r\n" })
	c := New(new(metrics.Registry), f.addr)
	defer c.Close()
	var calls sync.WaitGroup
	for range 8 {
		calls.Go(func() { c.Do(t.Context(), "PING") })
	}
	for f.accepted.Load() < 8 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	calls.Wait()
	c.Resize(3)
	if n := len(c.pool.idle); n != 3 {
		t.Errorf("%d connections are kept, want 3", n)
	}
}

func TestConnectionIsHandedOverToTheOneWhoWaits(t *testing.T) {
	f := startFake(t, func([]string) string { time.Sleep(2 * time.Millisecond); return "+OK\r\n" })
	c := New(new(metrics.Registry), f.addr)
	defer c.Close()
	c.Resize(2)
	var calls sync.WaitGroup
	for range 20 {
		calls.Go(func() {
			if _, err := c.Do(t.Context(), "PING"); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	if n := f.accepted.Load(); n != 2 {
		t.Errorf("%d connections, want 2", n)
	}
}

func TestPoolIsSeen(t *testing.T) {
	f := startFake(t, func(args []string) string {
		if args[0] == "BLPOP" {
			return "hang"
		}
		return "+OK\r\n"
	})
	var registry metrics.Registry
	c := New(&registry, f.addr)
	defer c.Close()
	c.Resize(1)
	go c.Block(t.Context(), "empty", 2*time.Second)
	for f.accepted.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := c.Do(t.Context(), "PING"); err == nil || !strings.Contains(err.Error(), "waiting for a connection") {
		t.Errorf("got %v", err)
	}
	text := string(registry.Expose())
	for _, line := range []string{
		"redis_pool_size 1", "redis_pool_conn_in_use_current 1", "redis_pool_conn_idle_current 0", "redis_pool_timeout_total 1",
		`redis_pool_wait_seconds_bucket{le="0.25"} 1`, "redis_pool_wait_seconds_count 2", "redis_command_duration_seconds_count 1",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%s is missing in\n%s", line, text)
		}
	}
}

func TestACallEndsAfterTheTimeThatIsSet(t *testing.T) {
	f := startFake(t, func([]string) string { return "hang" })
	c := New(new(metrics.Registry), f.addr)
	defer c.Close()
	c.GiveUpAfter(20)
	started := time.Now()
	if _, err := c.Do(t.Context(), "PING"); err == nil {
		t.Error("a server that says nothing has answered")
	}
	if took := time.Since(started); took < 20*time.Millisecond || took > Timeout-50*time.Millisecond {
		t.Errorf("it took %v, want 20 ms", took)
	}
}
