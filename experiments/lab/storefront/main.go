// Command storefront is the shop that customers see.
package main

import (
	"flag"
	"os"
	"time"

	"lab/internal/admin"
	"lab/internal/metrics"
	"lab/internal/service"
)

// requestTimeout is longer than that of orders, so orders can say what is wrong.
const requestTimeout = 900 * time.Millisecond

func main() {
	at := service.CommonFlags("127.0.0.1:8081")
	orders := flag.String("orders", "http://127.0.0.1:8082", "base `URL` of orders")
	flag.Parse()

	registry := new(metrics.Registry)
	shop := &shop{
		orders:       service.NewClient(registry, "orders", *orders),
		shelf:        newShelf(),
		recommending: admin.NewFlag("recommendations", true),
	}
	os.Exit(service.Run(service.App{
		Name:    "storefront",
		Timeout: requestTimeout,
		Routes: []service.Route{
			{Method: "POST", Path: "/checkout", Handler: service.JSON(shop.checkout)},
			{Method: "GET", Path: "/", Handler: service.Text(shop.status)},
		},
		State:   &shop.visits.mu,
		Check:   shop.visits.check,
		Metrics: registry,
		Admin:   []admin.Point{shop.recommending},
	}, at))
}
