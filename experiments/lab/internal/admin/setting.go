package admin

import (
	"fmt"
	"log/slog"
	"sync/atomic"

	"lab/internal/sideport"
)

// Setting is a whole number within bounds. It is safe for concurrent use.
type Setting struct {
	versioned
	name, unit string
	min, max   int64
	apply      func(value int64)
	value      atomic.Int64
}

// NewSetting returns a setting with its first value. apply, if any, is told of
// each change, one at a time.
func NewSetting(name, unit string, min, max, value int64, apply func(value int64)) *Setting {
	s := &Setting{name: name, unit: unit, min: min, max: max, apply: apply}
	s.value.Store(value)
	return s
}

// Value returns the value that is set now.
func (s *Setting) Value() int64 { return s.value.Load() }

type settingView struct {
	Value int64  `json:"value"`
	Min   int64  `json:"min"`
	Max   int64  `json:"max"`
	Unit  string `json:"unit"`
}

func (s *Setting) place() (collection, name string) { return "settings", s.name }

func (s *Setting) show() (any, uint64) {
	return settingView{s.Value(), s.min, s.max, s.unit}, s.version
}

func (s *Setting) parse(body []byte) (set func(), err error) {
	var in struct {
		Value *int64 `json:"value"`
	}
	if err := sideport.Decode(body, &in, `{"value": whole number}`); err != nil {
		return nil, err
	}
	if in.Value == nil || *in.Value < s.min || *in.Value > s.max {
		return nil, fmt.Errorf("the value of %s must be from %d to %d (%s)", s.name, s.min, s.max, s.unit)
	}
	return func() { s.set(*in.Value) }, nil
}

func (s *Setting) set(value int64) {
	before := s.value.Swap(value)
	if before == value {
		return
	}
	s.version++
	if s.apply != nil {
		s.apply(value)
	}
	slog.Warn("setting changed", "setting", s.name, "before", before, "value", value)
}
