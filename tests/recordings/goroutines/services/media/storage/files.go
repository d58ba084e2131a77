// Package storage keeps files.
package storage

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"media/internal/node"
)

// case storage_fifo: blocked_syscall, service, path=/ingest, n=8,15
func MountFifo(a *node.App) {
	path := filepath.Join(a.Dir, "camera")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		panic(err)
	}
	a.Mux.HandleFunc("/ingest", func(w http.ResponseWriter, r *http.Request) {
		go ingest(path) // CREATED storage_fifo
		w.WriteHeader(http.StatusAccepted)
	})
}

func ingest(path string) {
	camera, err := os.Open(path) // ROOT storage_fifo
	if err != nil {
		return
	}
	defer camera.Close()
}

// guard is a lock that all processes of a machine see.
type guard struct {
	file *os.File
}

func newGuard(path string) (*guard, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	return &guard{file}, err
}

func (g *guard) lock() error {
	for {
		err := syscall.Flock(int(g.file.Fd()), syscall.LOCK_EX) // ROOT storage_flock
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// case storage_flock: blocked_syscall, service, path=/compact, n=9,14
func MountFlock(a *node.App) {
	path := filepath.Join(a.Dir, "volume.lock")
	var all sync.Map // who compacts, to be shown to operators
	a.Mux.HandleFunc("/compact", func(w http.ResponseWriter, r *http.Request) {
		g, err := newGuard(path)
		if err == nil {
			all.Store(g, r.RemoteAddr)
			err = g.lock()
		}
		fmt.Fprintln(w, "compacting", err)
	})
}

// inbox reads what the kernel tells it, with a descriptor that nothing polls.
type inbox struct {
	fd     int
	events atomic.Int64
}

func (i *inbox) run() {
	buffer := make([]byte, 512)
	for {
		n, err := syscall.Read(i.fd, buffer) // ROOT storage_inbox
		if n <= 0 || err != nil {
			return
		}
		i.events.Add(1)
	}
}

// case storage_inbox: blocked_syscall, service, path=/follow, n=10,20
func MountInbox(a *node.App) {
	a.Mux.HandleFunc("/follow", func(w http.ResponseWriter, r *http.Request) {
		fd, err := syscall.InotifyInit()
		if err == nil {
			_, err = syscall.InotifyAddWatch(fd, a.Dir, syscall.IN_CREATE)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		box := &inbox{fd: fd}
		go box.run() // CREATED storage_inbox
	})
}

// tape takes blocks until its end; the drive tells when there is room.
type tape struct {
	ready  chan bool
	blocks []string
}

func (t *tape) write(block string) bool {
	select { // ROOT storage_tape
	case <-t.ready:
	case room := <-nextReel():
		return room
	}
	t.blocks = append(t.blocks, block)
	return true
}

func nextReel() <-chan bool { return nil }

// case storage_tape: nil_chan, service, path=/backup
func MountTape(a *node.App) {
	a.Mux.HandleFunc("/backup", func(w http.ResponseWriter, r *http.Request) {
		t := new(tape)
		go func() { // CREATED storage_tape
			for _, block := range []string{"a", "b"} {
				if !t.write(block) {
					return
				}
			}
		}()
		w.WriteHeader(http.StatusAccepted)
	})
}

// upload ends with done; a refused one never does.
type upload struct {
	done chan struct{}
	size int
}

func (u *upload) store() error {
	if u.size > 10 {
		return errors.New("too large")
	}
	close(u.done)
	return nil
}

func (u *upload) notify(tell func()) {
	<-u.done // ROOT storage_done
	tell()
}

// case storage_done: chan_recv_no_sender, service, path=/keep, visitors=70
func MountDone(a *node.App) {
	a.Mux.HandleFunc("/keep", func(w http.ResponseWriter, r *http.Request) {
		u := &upload{done: make(chan struct{}), size: 11}
		go u.notify(func() { fmt.Println("kept") }) // CREATED storage_done
		if err := u.store(); err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		}
	})
}

// case storage_burst: healthy, path=/scan, client=patient, n=45,45, again
func MountBurst(a *node.App) {
	a.Mux.HandleFunc("/scan", func(w http.ResponseWriter, r *http.Request) {
		results := make(chan int, 1)
		go func() {
			time.Sleep(4 * time.Second)
			results <- 7
		}()
		select {
		case n := <-results:
			fmt.Fprintln(w, n)
		case <-time.After(5 * time.Second):
			http.Error(w, "too slow", http.StatusGatewayTimeout)
		}
	})
}
