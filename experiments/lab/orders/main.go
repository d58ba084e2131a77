// Command orders has orders charged by payments and keeps them in Redis.
package main

import (
	"flag"
	"os"
	"time"

	"lab/internal/redis"
	"lab/internal/service"
)

const requestTimeout = 500 * time.Millisecond

func main() {
	at := service.AddressFlags("127.0.0.1:8082")
	payments := flag.String("payments", "http://127.0.0.1:8083", "base `URL` of payments")
	redisAddr := flag.String("redis", "127.0.0.1:6379", "`host:port` of Redis")
	flag.Parse()

	desk := &desk{
		book:    newBook(),
		cashier: &cashier{service.NewClient("payments", *payments)},
		store:   &store{redis.New(*redisAddr)},
	}
	os.Exit(service.Run(service.App{
		Name:    "orders",
		Timeout: requestTimeout,
		Routes:  []service.Route{{Method: "POST", Path: "/orders", Handler: service.JSON(desk.place)}},
		State:   &desk.book.mu,
		Check:   desk.book.check,
	}, at))
}
