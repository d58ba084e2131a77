// Package archive keeps what was seen.
package archive

import (
	"fmt"
	"sync"
	"time"
)

// buffer is flushed when it is full; all who wait for that may go on then.
type buffer struct {
	sync.Mutex
	flushed *sync.Cond
	frames  int
}

func (b *buffer) wait(left *sync.WaitGroup) {
	defer left.Done()
	b.Lock()
	defer b.Unlock()
	for b.frames > 0 {
		b.flushed.Wait() // ROOT archive_flush
	}
}

func (b *buffer) flush() {
	b.Lock()
	b.frames = 0
	b.Unlock()
	b.flushed.Signal()
}

// case archive_flush: cond_never_signaled, kernel2
func TryFlush() {
	b := &buffer{frames: 3}
	b.flushed = sync.NewCond(b)
	left := &sync.WaitGroup{}
	for range 5 {
		left.Add(1)
		go b.wait(left)
	}
	time.Sleep(5 * time.Millisecond)
	b.flush()
	left.Wait() // VICTIM archive_flush
}

// index is asked for numbers by who adds to it.
type index struct {
	mu      sync.Mutex
	numbers chan int
	last    int
}

func (x *index) next() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return <-x.numbers // ROOT archive_index
}

func (x *index) hand() {
	for {
		time.Sleep(4 * time.Millisecond)
		x.numbers <- x.number()
	}
}

func (x *index) number() int {
	x.mu.Lock() // ROOT archive_index
	defer x.mu.Unlock()
	x.last++
	return x.last
}

// case archive_index: chan_lock_cycle, kernel2, visitors=20
func TryIndex() {
	x := &index{numbers: make(chan int)}
	go x.hand()
	numbered := make(chan int)
	go func() { numbered <- x.next() }()
	fmt.Println(<-numbered) // VICTIM archive_index
}

type hook interface{ kept(frame string) }

type hooks struct {
	lock sync.RWMutex
	all  []hook
}

func (h *hooks) call(frame string) {
	h.lock.RLock() // VICTIM archive_hooks
	defer h.lock.RUnlock()
	for _, each := range h.all {
		each.kept(frame)
	}
}

func (h *hooks) add(more hook) {
	h.lock.Lock() // ROOT archive_hooks
	defer h.lock.Unlock()
	h.all = append(h.all, more)
}

type queue chan string

func (q queue) kept(frame string) { q <- frame } // ROOT archive_hooks

func (q queue) drain(from *hooks) {
	for frame := range q {
		time.Sleep(3 * time.Millisecond)
		from.add(make(queue, len(frame)))
	}
}

// case archive_hooks: chan_lock_cycle, kernel2
func TryHooks() {
	q, h := make(queue), &hooks{}
	h.add(q)
	go q.drain(h)
	var calls sync.WaitGroup
	calls.Add(2)
	for i := range 2 {
		go func() {
			defer calls.Done()
			for range 3 - i {
				h.call("frame")
			}
		}()
		time.Sleep(12 * time.Millisecond)
	}
	calls.Wait() // VICTIM archive_hooks
}

// watchers are told of each file until they leave.
type watchers struct {
	mu  sync.Mutex
	all map[int]chan string
}

func (w *watchers) tell(file string) {
	w.mu.Lock() // VICTIM archive_watchers
	defer w.mu.Unlock()
	for _, watcher := range w.all {
		for _, name := range []string{file, file + ".index"} {
			watcher <- name // ROOT archive_watchers
		}
	}
}

func (w *watchers) leave(id int) {
	w.mu.Lock() // ROOT archive_watchers
	delete(w.all, id)
	w.mu.Unlock()
}

func (w *watchers) first(id int) string {
	defer w.leave(id)
	time.Sleep(6 * time.Millisecond)
	return <-w.all[id]
}

var files = &watchers{all: map[int]chan string{7: make(chan string)}}

// case archive_watchers: chan_lock_cycle, kernel2
func TryWatchers() {
	w := files
	go func() {
		for _, file := range []string{"a.fits", "b.fits"} {
			w.tell(file)
		}
	}()
	go w.first(7)
	time.Sleep(20 * time.Millisecond)
	w.tell("c.fits")
}

type upload struct {
	parts sync.WaitGroup
	sent  int
}

func (u *upload) part(bytes int) {
	if bytes == 0 {
		return
	}
	u.sent += bytes
	u.parts.Done()
}

// case archive_upload: waitgroup_never_done, kernel2
func TryUpload() {
	u := &upload{}
	for _, bytes := range []int{512, 0, 90} {
		u.parts.Add(1)
		go u.part(bytes)
	}
	over := make(chan int)
	go func() {
		u.parts.Wait() // ROOT archive_upload
		over <- u.sent
	}()
	fmt.Println(<-over) // VICTIM archive_upload
}

// vault is closed and opened anew; who waits for its end waits for the one it had.
type vault struct {
	mu     sync.Mutex
	closed chan struct{}
}

func (v *vault) end() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.closed
}

func (v *vault) reopen() {
	v.mu.Lock()
	v.closed = make(chan struct{})
	v.mu.Unlock()
}

func (v *vault) watch(told chan<- string) {
	<-v.end() // ROOT archive_reopen
	told <- "closed"
}

// case archive_reopen: chan_recv_no_sender, kernel2
func TryReopen() {
	v := &vault{closed: make(chan struct{})}
	told := make(chan string)
	go v.watch(told)
	time.Sleep(4 * time.Millisecond)
	v.reopen()
	close(v.closed)
	fmt.Println(<-told) // VICTIM archive_reopen
}

// tapes are wound back by drives that end when they are told to.
type tapes struct {
	drives sync.WaitGroup
	quit   chan struct{}
	wound  chan int
}

func (t *tapes) wind(drive int) {
	defer t.drives.Done()
	for {
		select { // VICTIM archive_tapes
		case t.wound <- drive:
		case <-t.quit:
			return
		}
	}
}

func (t *tapes) Close() {
	t.drives.Wait() // ROOT archive_tapes
	close(t.quit)
}

// case archive_tapes: waitgroup_never_done, kernel2
func TryTapes() {
	t := &tapes{quit: make(chan struct{}), wound: make(chan int)}
	for drive := range 2 {
		t.drives.Add(1)
		go t.wind(drive)
	}
	fmt.Println(<-t.wound)
	defer t.Close()
}
