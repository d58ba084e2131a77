package metrics

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// vec holds one T for each combination of label values of a family.
type vec[T any] struct {
	name, help string
	labels     []string
	fresh      func() *T

	mu     sync.Mutex
	series map[string]*T
}

// labelSeparator cannot occur in valid UTF-8, so joined values stay distinct.
const labelSeparator = "\xff"

func newVec[T any](name, help string, labels []string, fresh func() *T) vec[T] {
	return vec[T]{name: name, help: help, labels: labels, fresh: fresh, series: map[string]*T{}}
}

// With returns the series with these label values, in the order of the names
// given at creation; it exists (and is shown) from then on.
func (v *vec[T]) With(values ...string) *T {
	if len(values) != len(v.labels) {
		panic(fmt.Sprintf("%s: %d label values for %d labels", v.name, len(values), len(v.labels)))
	}
	key := strings.Join(values, labelSeparator)
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ok := v.series[key]
	if !ok {
		s = v.fresh()
		v.series[key] = s
	}
	return s
}

// each calls show for every series in the order of the label values.
func (v *vec[T]) each(show func(s *T, labels []Label)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	keys := make([]string, 0, len(v.series))
	for key := range v.series {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		show(v.series[key], v.pairs(key))
	}
}

func (v *vec[T]) pairs(key string) []Label {
	if len(v.labels) == 0 {
		return nil
	}
	values := strings.Split(key, labelSeparator)
	pairs := make([]Label, len(values))
	for i, value := range values {
		pairs[i] = Label{v.labels[i], value}
	}
	return pairs
}
