// Package admin is what operators may change in a running service: settings
// within bounds, circuit breakers and feature flags, and the API for them.
package admin

import (
	"crypto/rand"
	"fmt"
	"strings"
	"sync"
)

// A Point can be read and changed while the service runs. Every change of its
// state gives it a new version.
type Point interface {
	place() (collection, name string)
	locker() sync.Locker
	// parse reads the body of a PUT; set is called with the lock held.
	parse(body []byte) (set func(), err error)
	// show is called with the lock held.
	show() (view any, version uint64)
}

// versioned is the lock and the version of a point.
type versioned struct {
	mu      sync.Mutex
	version uint64
}

func (v *versioned) locker() sync.Locker { return &v.mu }

// process makes versions of this process differ from those of an earlier one,
// whose changes were lost with it.
var process = rand.Text()[:8]

func tag(version uint64) string { return fmt.Sprintf(`"%s-%d"`, process, version) }

// fits says if an If-Match allows to change this version: nothing and * fit
// every one, else it is a list of tags.
func fits(ifMatch string, version uint64) bool {
	if ifMatch == "" {
		return true
	}
	for one := range strings.SplitSeq(ifMatch, ",") {
		if one = strings.TrimSpace(one); one == "*" || one == tag(version) {
			return true
		}
	}
	return false
}
