// Package survey plans what is looked at, and in what order.
package survey

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

type request struct {
	name  string
	reply chan float64
}

// catalogue answers requests for the height of a star.
type catalogue struct {
	requests chan request
	heights  map[string]float64
}

func (c *catalogue) serve(ctx context.Context) {
	for {
		select {
		case r := <-c.requests:
			height, known := c.heights[r.name]
			if !known {
				fmt.Println("unknown:", r.name)
				continue
			}
			r.reply <- height
		case <-ctx.Done():
			return
		}
	}
}

func (c *catalogue) height(name string) float64 {
	r := request{name, make(chan float64)}
	c.requests <- r
	return <-r.reply // ROOT survey_target
}

var stars = catalogue{make(chan request), map[string]float64{"Vega": 61}}

// case survey_target: chan_recv_no_sender, kernel2
func TryTarget() {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	go stars.serve(ctx)
	fmt.Println(stars.height("Vega"), stars.height("Wega"))
}

// start lets fields be looked at together once enough are ready.
type start struct {
	mu    sync.Mutex
	ready int
	of    int
	begin chan struct{}
}

func (s *start) arrive() {
	s.mu.Lock()
	if s.ready++; s.ready == s.of {
		close(s.begin)
	}
	s.mu.Unlock()
	<-s.begin // ROOT survey_fields
}

// case survey_fields: chan_recv_no_sender, kernel2
func TryFields() {
	fields := []string{"north", "", "zenith", "south"}
	s := &start{of: len(fields), begin: make(chan struct{})}
	var group sync.WaitGroup
	for _, field := range fields {
		if field == "" {
			continue
		}
		group.Go(s.arrive)
	}
	group.Wait() // VICTIM survey_fields
}

// observer works until there is no more work, and tells that it is through.
type observer struct {
	work    chan string
	through chan struct{}
	done    []string
}

func (o *observer) observe() {
	for target := range o.work { // ROOT survey_handover
		o.done = append(o.done, target)
	}
	close(o.through)
}

func (o *observer) stop() {
	<-o.through // ROOT survey_handover
	close(o.work)
}

// case survey_handover: chan_wait_cycle, kernel2
func TryHandover() {
	o := &observer{work: make(chan string), through: make(chan struct{})}
	go o.observe()
	o.work <- "M31"
	o.stop()
}

// station tells the weather while there is some to tell.
type station struct {
	readings chan float64
	alarms   chan error
	worst    float64
}

func (s *station) listen(ctx context.Context) error {
	for ctx.Err() == nil {
		select { // ROOT survey_weather
		case reading := <-s.readings:
			s.worst = max(s.worst, reading)
		case err := <-s.alarms:
			return err
		}
	}
	return ctx.Err()
}

// case survey_weather: select_no_ctx_done, kernel2
func TryWeather() {
	ctx, stop := context.WithTimeout(context.Background(), 8*time.Millisecond)
	defer stop()
	s := &station{readings: make(chan float64), alarms: make(chan error)}
	var listeners sync.WaitGroup
	listeners.Go(func() {
		if err := s.listen(ctx); err != nil {
			fmt.Println(err)
		}
	})
	s.readings <- 3.5
	listeners.Wait() // VICTIM survey_weather
}

// slot is time that was lent, and is taken back when its context ends.
type slot struct {
	free   chan struct{}
	cancel context.CancelFunc
}

func lend(ctx context.Context) *slot {
	s := &slot{free: make(chan struct{}, 1)}
	ctx, s.cancel = context.WithCancel(ctx)
	go s.takeBack(ctx)
	return s
}

func (s *slot) takeBack(ctx context.Context) {
	<-ctx.Done() // ROOT survey_slot
	s.free <- struct{}{}
}

func (s *slot) use(minutes int) error {
	if minutes > 30 {
		return errors.New("too long")
	}
	defer s.cancel()
	return nil
}

// case survey_slot: ctx_never_cancelled, kernel2
func TrySlot() {
	type of struct{}
	night := context.WithValue(context.Background(), of{}, "tonight")
	for _, minutes := range []int{10, 45, 20} {
		if err := lend(night).use(minutes); err != nil {
			fmt.Println(err)
		}
	}
}
