// Package wal writes ahead what will be done.
package wal

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
	"time"

	"raftstore.dev/internal/host"
)

// segment is one file of the log.
type segment struct {
	mu     sync.Mutex
	closed bool
	size   int
}

var errClosed = errors.New("the segment is closed")

func (s *segment) write(entry []byte) error {
	s.mu.Lock() // ROOT wal_rotate
	if s.closed {
		return errClosed
	}
	s.size += len(entry)
	s.mu.Unlock()
	return nil
}

// case wal_rotate: mutex_missing_unlock, kernel
func Rotate(*host.App) {
	s := &segment{closed: true}
	if err := s.write([]byte("a")); err != nil {
		fmt.Println(err)
	}
	go s.write([]byte("b")) // CREATED wal_rotate
}

// writer appends, and starts anew when it is full.
type writer struct {
	sync.RWMutex
	entries []string
	full    int
}

func (w *writer) append(entry string) {
	w.Lock()
	defer w.Unlock()
	if w.entries = append(w.entries, entry); len(w.entries) >= w.full {
		w.startAnew()
	}
}

func (w *writer) startAnew() {
	if w.count() > 0 {
		w.entries = nil
	}
}

func (w *writer) count() int {
	w.RLock() // ROOT wal_append
	defer w.RUnlock()
	return len(w.entries)
}

// case wal_append: mutex_double_lock, kernel
func Append(*host.App) {
	w := &writer{full: 2}
	go func() { // CREATED wal_append
		for _, entry := range []string{"x", "y", "z"} {
			w.append(entry)
		}
	}()
}

// stats are read by a report that reads them again for its title.
type stats struct {
	lock   sync.RWMutex
	writes int
}

func (s *stats) total() int {
	s.lock.RLock() // ROOT wal_stats
	defer s.lock.RUnlock()
	return s.writes
}

func (s *stats) bump() {
	s.lock.Lock() // ROOT wal_stats
	s.writes++
	s.lock.Unlock()
}

func (s *stats) report(out io.Writer) {
	s.lock.RLock()
	defer s.lock.RUnlock()
	time.Sleep(20 * time.Millisecond)
	fmt.Fprintf(out, "%s: %d\n", s.title(), s.writes)
}

func (s *stats) title() string { return fmt.Sprint("writes of ", s.total()) }

// case wal_stats: rwmutex_recursive_rlock, kernel
func Stats(*host.App) {
	s := &stats{}
	go s.report(io.Discard)                                    // CREATED wal_stats
	time.AfterFunc(8*time.Millisecond, func() { go s.bump() }) // CREATED wal_stats
}

// segments: three kinds of them, each locked before the next.
type level struct {
	sync.Mutex
	next *level
	runs int
}

func (l *level) compactInto() {
	l.Lock()
	defer l.Unlock()
	time.Sleep(12 * time.Millisecond)
	l.next.receive(l.runs)
}

func (l *level) receive(runs int) {
	l.Lock() // ROOT wal_segments
	defer l.Unlock()
	l.runs += runs
}

// case wal_segments: lock_order_abba, kernel, workers=100
func Segments(*host.App) {
	hot, warm, cold := new(level), new(level), new(level)
	hot.next, warm.next, cold.next = warm, cold, hot
	var all sync.WaitGroup
	for _, l := range []*level{hot, warm, cold} {
		all.Go(l.compactInto)
	}
	go func() {
		all.Wait() // VICTIM wal_segments
		fmt.Println("compacted")
	}()
}

// compaction hands its result over with the log locked.
type compaction struct {
	mu      sync.Mutex
	results chan []byte
	kept    map[uint32][]byte
}

func (c *compaction) compact(entry []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for part := range bytes.SplitSeq(entry, []byte(",")) {
		c.results <- part // ROOT wal_compact
	}
}

func (c *compaction) keep() {
	for part := range c.results {
		c.put(part)
	}
}

func (c *compaction) put(part []byte) {
	c.mu.Lock() // ROOT wal_compact
	defer c.mu.Unlock()
	c.kept[crc32.ChecksumIEEE(part)] = part
}

// case wal_compact: chan_lock_cycle, kernel
func Compact(*host.App) {
	c := &compaction{results: make(chan []byte), kept: map[uint32][]byte{}}
	go c.keep()                   // CREATED wal_compact
	go c.compact([]byte("a,b,c")) // CREATED wal_compact
}

// case wal_ship: io_pipe_no_reader, kernel
func Ship(*host.App) {
	from, to := io.Pipe()
	shipped := make(chan error)
	go func() { // CREATED wal_ship
		_, err := io.Copy(to, bytes.NewReader(make([]byte, 1<<16))) // ROOT wal_ship
		shipped <- err
	}()
	go receive(from)
	go func() {
		fmt.Println(<-shipped) // VICTIM wal_ship
	}()
}

func receive(from io.Reader) error {
	head := make([]byte, 16)
	if _, err := io.ReadFull(from, head); err != nil {
		return err
	}
	if head[0] == 0 {
		return errors.New("not a log")
	}
	_, err := io.Copy(io.Discard, from)
	return err
}

// checksums are made by one goroutine for all; it takes work until its queue is closed.
type checksums struct {
	work, done chan []byte
}

func (c *checksums) run() {
	for entry := range c.work {
		c.done <- crc32.NewIEEE().Sum(entry) // ROOT wal_checksum
	}
}

func (c *checksums) verify(entries ...string) {
	for _, entry := range entries {
		c.work <- []byte(entry) // ROOT wal_checksum
	}
	for range entries {
		<-c.done
	}
}

// case wal_checksum: chan_wait_cycle, kernel
func Checksum(*host.App) {
	c := &checksums{make(chan []byte), make(chan []byte)}
	go c.run()                 // CREATED wal_checksum
	go c.verify("a", "b", "c") // CREATED wal_checksum
}

// iterator locks the log as long as it is open.
type iterator struct {
	of *log
	at int
}

type log struct {
	gate    sync.Mutex
	entries []string
}

func (l *log) iterate() *iterator {
	l.gate.Lock() // ROOT wal_iterator
	return &iterator{of: l}
}

func (i *iterator) next() (string, bool) {
	if i.at == len(i.of.entries) {
		return "", false
	}
	i.at++
	return i.of.entries[i.at-1], true
}

func (i *iterator) close() { i.of.gate.Unlock() }

func find(l *log, wanted string) bool {
	i := l.iterate()
	for entry, more := i.next(); more; entry, more = i.next() {
		if entry == wanted {
			return true
		}
	}
	i.close()
	return false
}

// case wal_iterator: mutex_missing_unlock, kernel
func Iterator(*host.App) {
	l := &log{entries: []string{"a", "b"}}
	fmt.Println(find(l, "a"))
	for _, wanted := range []string{"b", "c"} {
		go find(l, wanted) // CREATED wal_iterator
	}
}
