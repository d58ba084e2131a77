package admin

import (
	"errors"
	"fmt"
	"time"

	"lab/internal/sideport"
)

const (
	defaultTTL = 60 * time.Second
	maxTTL     = 600 * time.Second
)

type breakerView struct {
	State       string  `json:"state"`
	Failures    float64 `json:"failures"` // share of the last calls
	Calls       int     `json:"calls"`    // how many those are
	TTLS        float64 `json:"ttl_s"`
	HalfOpenInS float64 `json:"half_open_in_s"` // 0 unless open
}

func (b *Breaker) place() (collection, name string) { return "breakers", b.upstream }

func (b *Breaker) show() (any, uint64) {
	b.settle()
	view := breakerView{State: b.state.String(), TTLS: b.ttl.Seconds()}
	view.Failures, view.Calls = b.recent.failures()
	if b.state == Open {
		view.HalfOpenInS = time.Until(b.until).Seconds()
	}
	return view, b.version
}

func (b *Breaker) parse(body []byte) (set func(), err error) {
	in := struct {
		State string  `json:"state"`
		TTL   float64 `json:"ttl_s"` // seconds
	}{TTL: defaultTTL.Seconds()}
	if err := sideport.Decode(body, &in, `{"state": "open" or "closed", "ttl_s": number}`); err != nil {
		return nil, err
	}
	if in.TTL <= 0 || in.TTL > maxTTL.Seconds() {
		return nil, fmt.Errorf("ttl_s must be above 0 and at most %g", maxTTL.Seconds())
	}
	wanted, ok := map[string]State{"open": Open, "closed": Closed}[in.State]
	if !ok {
		return nil, errors.New("the state must be open or closed; it half-opens by itself")
	}
	return func() { b.force(wanted, time.Duration(in.TTL*float64(time.Second))) }, nil
}

// force opens the breaker for a time, anew if it is open, or closes it.
func (b *Breaker) force(state State, ttl time.Duration) {
	if state == Open || b.state != Closed {
		b.ttl = ttl
		b.enter(state)
	}
}
