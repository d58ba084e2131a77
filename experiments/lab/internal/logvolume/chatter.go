package logvolume

import (
	"bytes"
	"fmt"
	"time"

	"lab/internal/faults"
)

const chatterEvery = 50 * time.Millisecond

// Chatter is the fault that somebody left debug logging on.
func (v *Volume) Chatter() faults.Kind {
	return faults.Kind{Name: "chatter", Unit: "KiB of debug lines a second", Min: 1, Max: 64 << 10, Start: v.chatter}
}

// chatter writes until end is called, also while there is no room.
func (v *Volume) chatter(kib float64) (end func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(chatterEvery)
		defer tick.Stop()
		for {
			select {
			case at := <-tick.C:
				v.Write(debugLines(at, int(kib*1024*chatterEvery.Seconds())))
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

// debugLines returns at least so many bytes of lines.
func debugLines(at time.Time, size int) []byte {
	var lines bytes.Buffer
	for n := 0; lines.Len() < size; n++ {
		fmt.Fprintf(&lines, `{"time":%q,"level":"DEBUG","msg":"cache lookup","n":%d,"hit":true,"shard":"a"}`+"\n",
			at.Format(time.RFC3339Nano), n)
	}
	return lines.Bytes()
}
