package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"lab/internal/metrics"
	"lab/internal/redis"
)

func TestArchiveKeepsOneConnectionAnOrderAndNoMoreThanItsBound(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // a Redis that never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var registry metrics.Registry
	client := redis.New(&registry, l.Addr().String())
	client.Resize(256)
	a := newArchive(client)
	a.add()
	end := a.fault().Start(100)
	for range 2 * archiveJobs {
		a.add()
	}
	for _, line := range []string{"redis_pool_conn_in_use_current 64\n", "redis_pool_conn_in_use_current 0\n"} {
		for range 200 {
			if strings.Contains(string(registry.Expose()), line) {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if !strings.Contains(string(registry.Expose()), line) {
			t.Errorf("%q is missing in\n%s", line, registry.Expose())
		}
	}
	end()
	if a.add(); len(a.jobs) != 0 {
		t.Error("there is a job after the end of the fault")
	}
}
