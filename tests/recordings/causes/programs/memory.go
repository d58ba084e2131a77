package main

import (
	"bytes"
	"container/list"
	"fmt"
	"io"
	"math/rand"
	"strings"
	"sync"
	"syscall"
	"time"
)

var (
	document = strings.Repeat("x", 60<<10)
	tokens   [600][]byte
)

// keepTokens reads documents of 60 KiB and keeps the 16 bytes of each that it needs, as a part of it or as a copy. It
// knows 600 of them, and replaces 30 a second.
func keepTokens(copied bool) {
	for n := range tokens {
		tokens[n] = token(strings.NewReader(document), copied)
	}
	for n := 0; ; n++ {
		tokens[n%len(tokens)] = token(strings.NewReader(document), copied)
		time.Sleep(time.Second / 30)
	}
}

// holdDocuments reads 300 documents a second and needs all of each for one second: in flight, not retained.
func holdDocuments() {
	for {
		go func() {
			body, _ := io.ReadAll(strings.NewReader(document))
			time.Sleep(time.Second)
			_ = bytes.Clone(body)
		}()
		time.Sleep(time.Second / 300)
	}
}

func token(from io.Reader, copied bool) []byte {
	body, _ := io.ReadAll(from)
	if copied {
		return bytes.Clone(body[8:24])
	}
	return body[8:24]
}

// poolBuffers has large answers in its past and keeps the buffers that it needed. When outgrown, all answers since are
// small; otherwise the buffers are replaced as they wear out, and grow as far again.
func poolBuffers(outgrown bool) {
	buffers := make([]bytes.Buffer, 40)
	large, small := bytes.Repeat([]byte("x"), 900<<10), bytes.Repeat([]byte("x"), 500)
	for n := range buffers {
		answer(&buffers[n], large)
	}
	var sink [][]byte
	every(time.Millisecond, 4, func(n int) {
		lock.Lock()
		defer lock.Unlock()
		buffer := &buffers[n%len(buffers)]
		if !outgrown && n%20 == 0 {
			*buffer = bytes.Buffer{}
			answer(buffer, large)
		} else {
			answer(buffer, small)
		}
		sink = append(sink[max(0, len(sink)-100):], bytes.Clone(buffer.Bytes()))
	})
}

func answer(buffer *bytes.Buffer, body []byte) {
	buffer.Reset()
	buffer.Write(body)
}

type cache struct {
	sync.Mutex
	rows  map[string]*list.Element
	order *list.List
	bound int
}

type row struct {
	key  string
	page []byte
}

// fillCache renders a page of 1 KiB for every key and keeps it; without a bound for ever, without keys for new keys only.
func fillCache(bound, keys int) {
	pages := &cache{rows: map[string]*list.Element{}, order: list.New(), bound: bound}
	number := func(n int) int { return n }
	if keys > 0 {
		number = func(int) int { return rand.Intn(keys) }
	}
	for n := 0; ; n++ {
		read()
		pages.page(fmt.Sprintf("key-%d", number(n)))
		if n%8 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

func (c *cache) page(key string) []byte {
	c.Lock()
	defer c.Unlock()
	if known := c.rows[key]; known != nil {
		c.order.MoveToFront(known)
		return known.Value.(*row).page
	}
	page := render(key)
	c.rows[key] = c.order.PushFront(&row{key, page})
	if c.bound > 0 && c.order.Len() > c.bound {
		oldest := c.order.Back()
		delete(c.rows, oldest.Value.(*row).key)
		c.order.Remove(oldest)
	}
	return page
}

var latest []byte

// read is the part of a request that nobody keeps.
func read() {
	latest = make([]byte, 2048)
}

func render(key string) []byte {
	page := make([]byte, 1024)
	copy(page, key)
	return page
}

// mapMemory takes memory that the garbage collector knows nothing of, as a C library would.
func mapMemory() {
	go churn()
	for {
		region, err := syscall.Mmap(-1, 0, 1<<20, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			return
		}
		for n := 0; n < len(region); n += 4096 {
			region[n] = 1
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// growStacks lets the resident memory grow without the heap, by deep stacks: this is the runtime's own memory.
func growStacks() {
	go churn()
	for {
		for range 8 {
			go deep(900)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func deep(depth int) byte {
	var here [128]byte
	if depth == 0 {
		select {}
	}
	here[depth%128] = deep(depth - 1)
	return here[depth%7]
}

// churn makes garbage and keeps none of it.
func churn() {
	var kept [64][]byte
	for n := 0; ; n++ {
		kept[n%len(kept)] = make([]byte, 16<<10)
		time.Sleep(200 * time.Microsecond)
	}
}
