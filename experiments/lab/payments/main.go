// Command payments charges customers.
package main

import (
	"flag"
	"os"
	"time"

	"lab/internal/metrics"
	"lab/internal/service"
)

// requestTimeout is shorter than that of orders, so payments can say what is wrong.
const requestTimeout = 400 * time.Millisecond

func main() {
	at := service.CommonFlags("127.0.0.1:8083")
	flag.Parse()

	desk := &desk{till: new(till), limits: limits()}
	os.Exit(service.Run(service.App{
		Name:    "payments",
		Timeout: requestTimeout,
		Routes:  []service.Route{{Method: "POST", Path: "/charge", Handler: service.JSON(desk.charge)}},
		State:   &desk.till.mu,
		Check:   desk.till.check,
		Metrics: new(metrics.Registry),
	}, at))
}
