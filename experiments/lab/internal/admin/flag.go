package admin

import (
	"errors"
	"log/slog"
	"sync/atomic"

	"lab/internal/sideport"
)

// Flag switches a feature on or off. It is safe for concurrent use.
type Flag struct {
	versioned
	name    string
	enabled atomic.Bool
}

// NewFlag returns a flag as it is at the start.
func NewFlag(name string, enabled bool) *Flag {
	f := &Flag{name: name}
	f.enabled.Store(enabled)
	return f
}

// Enabled returns if the feature is on.
func (f *Flag) Enabled() bool { return f.enabled.Load() }

func (f *Flag) place() (collection, name string) { return "flags", f.name }

func (f *Flag) show() (any, uint64) { return map[string]bool{"enabled": f.Enabled()}, f.version }

func (f *Flag) parse(body []byte) (set func(), err error) {
	const form = `{"enabled": true or false}`
	var in struct {
		Enabled *bool `json:"enabled"`
	}
	if err := sideport.Decode(body, &in, form); err != nil {
		return nil, err
	}
	if in.Enabled == nil {
		return nil, errors.New("the body must be " + form)
	}
	return func() { f.set(*in.Enabled) }, nil
}

func (f *Flag) set(enabled bool) {
	if f.enabled.Swap(enabled) != enabled {
		f.version++
		slog.Warn("flag changed", "flag", f.name, "enabled", enabled)
	}
}
