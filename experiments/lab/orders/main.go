// Command orders has orders charged by payments and keeps them in Redis.
package main

import (
	"flag"
	"os"
	"time"

	"lab/internal/admin"
	"lab/internal/faults"
	"lab/internal/metrics"
	"lab/internal/redis"
	"lab/internal/service"
)

const requestTimeout = 500 * time.Millisecond

func main() {
	at := service.CommonFlags("127.0.0.1:8082")
	payments := flag.String("payments", "http://127.0.0.1:8083", "base `URL` of payments")
	redisAddr := flag.String("redis", "127.0.0.1:6379", "`host:port` of Redis")
	flag.Parse()

	registry := new(metrics.Registry)
	client := redis.New(registry, *redisAddr)
	desk := &desk{
		book:    newBook(),
		cashier: newCashier(registry, *payments),
		store:   &store{client},
		archive: newArchive(client),
	}
	os.Exit(service.Run(app(desk, registry, client), at))
}

func app(desk *desk, registry *metrics.Registry, client *redis.Client) service.App {
	poolSize := admin.NewSetting("redis_pool_size", "connections", 1, 256, redis.PoolSize, client.Resize)
	redisTimeout := admin.NewSetting("redis_timeout_ms", "ms", 10, 2000, redis.Timeout.Milliseconds(), client.GiveUpAfter)
	return service.App{
		Name:    "orders",
		Timeout: requestTimeout,
		Routes:  []service.Route{{Method: "POST", Path: "/orders", Handler: service.JSON(desk.place)}},
		State:   &desk.book.mu,
		Check:   desk.book.check,
		Metrics: registry,
		Admin:   append(desk.cashier.points(), poolSize, redisTimeout),
		Faults:  []faults.Kind{desk.archive.fault()},
	}
}
