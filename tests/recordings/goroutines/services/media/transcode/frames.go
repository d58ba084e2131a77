// Package transcode makes other pictures of pictures.
package transcode

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"time"

	"media/internal/node"
)

type frame struct {
	number int
	dark   bool
}

type film struct{ length int }

// frames gives one frame after the other.
func (f film) frames() <-chan frame {
	out := make(chan frame)
	go f.decode(out) // CREATED transcode_frames
	return out
}

func (f film) decode(out chan<- frame) {
	defer close(out)
	for n := range f.length {
		emit(out, frame{number: n, dark: n%7 == 3})
	}
}

func emit[T any](out chan<- T, one T) {
	out <- one // ROOT transcode_frames
}

// case transcode_frames: chan_send_no_receiver, service, path=/first-dark, visitors=60
func MountFrames(a *node.App) {
	a.Mux.HandleFunc("/first-dark", func(w http.ResponseWriter, r *http.Request) {
		for picture := range (film{length: 50}).frames() {
			if picture.dark {
				fmt.Fprintln(w, picture.number)
				return
			}
		}
	})
}

// pool runs the steps of one job with as many hands as it is given.
type pool[J any] struct {
	jobs chan J
	step func(J)
}

func (p *pool[J]) hand() {
	for job := range p.jobs { // ROOT transcode_workers
		p.step(job)
	}
}

func newPool[J any](hands int, step func(J)) *pool[J] {
	p := &pool[J]{jobs: make(chan J, hands), step: step}
	for range hands {
		go p.hand() // CREATED transcode_workers
	}
	return p
}

// case transcode_workers: chan_recv_no_sender, service, path=/resize, n=6,10
func MountWorkers(a *node.App) {
	a.Mux.HandleFunc("/resize", func(w http.ResponseWriter, r *http.Request) {
		p := newPool(4, func(width int) { time.Sleep(time.Duration(width) * time.Microsecond) })
		for _, width := range []int{120, 640, 1280} {
			p.jobs <- width
		}
		w.WriteHeader(http.StatusAccepted)
	})
}

// handshake: the reader says what it can, the writer what it has, and each waits for the other to begin.
type handshake struct {
	offers, wants chan string
}

func (h *handshake) writer() {
	want := <-h.wants // ROOT transcode_handshake
	h.offers <- "h264 for " + want
}

func (h *handshake) reader() {
	offer := <-h.offers // ROOT transcode_handshake
	h.wants <- offer
}

// case transcode_handshake: chan_wait_cycle, service, path=/stream
func MountHandshake(a *node.App) {
	a.Mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		h := &handshake{offers: make(chan string), wants: make(chan string)}
		go h.writer() // CREATED transcode_handshake
		go h.reader() // CREATED transcode_handshake
		w.WriteHeader(http.StatusAccepted)
	})
}

var errRefused = errors.New("the store takes no pictures")

func put(body io.Reader) error {
	if body == nil {
		return io.ErrUnexpectedEOF
	}
	return errRefused
}

// case transcode_upload: io_pipe_no_reader, service, path=/copy
func MountUpload(a *node.App) {
	a.Mux.HandleFunc("/copy", func(w http.ResponseWriter, r *http.Request) {
		body, writer := io.Pipe()
		form := multipart.NewWriter(writer)
		go func() { // CREATED transcode_upload
			defer writer.Close()
			part, err := form.CreateFormFile("picture", "a.png") // ROOT transcode_upload
			if err == nil {
				_, _ = part.Write(make([]byte, 4096))
			}
		}()
		if err := put(body); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
}

type archive struct {
	to *io.PipeWriter
}

func (a *archive) dump(pictures []frame) (err error) {
	packed := gzip.NewWriter(a.to)
	defer func() {
		err = errors.Join(err, packed.Close(), a.to.Close())
	}()
	return json.NewEncoder(packed).Encode(pictures) // ROOT transcode_archive
}

// case transcode_archive: io_pipe_no_reader, service, path=/archive
func MountArchive(a *node.App) {
	a.Mux.HandleFunc("/archive", func(w http.ResponseWriter, r *http.Request) {
		from, to := io.Pipe()
		go (&archive{to}).dump(make([]frame, 3)) // CREATED transcode_archive
		if kind := r.FormValue("kind"); kind != "gzip" {
			http.Error(w, "cannot make "+kind, http.StatusBadRequest)
			return
		}
		_, _ = io.Copy(w, from)
	})
}

// case transcode_producers: healthy, path=/queue, flow=2
func MountProducers(a *node.App) {
	rendered := make(chan frame)
	for camera := range 160 {
		go func() {
			for number := 0; a.Ctx.Err() == nil; number++ {
				rendered <- frame{number: number*1000 + camera}
			}
		}()
	}
	go func() {
		for picture := range rendered {
			time.Sleep(time.Duration(4+picture.number%3) * time.Millisecond)
		}
	}()
	a.Mux.HandleFunc("/queue", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(100 * time.Millisecond)
		fmt.Fprintln(w, cap(rendered))
	})
}

// case transcode_cron: healthy, path=/cron, n=2,2
func MountCron(a *node.App) {
	for _, every := range []time.Duration{90, 150, 210, 400, 650} {
		for range 6 {
			go cron(a.Ctx, every*time.Millisecond, func() { _ = make([]byte, 1<<10) })
		}
	}
	a.Mux.HandleFunc("/cron", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, 30) })
}

func cron(ctx context.Context, every time.Duration, work func()) {
	for ctx.Err() == nil {
		time.Sleep(every)
		work()
	}
}

// fastest asks all and takes the first answer.
func fastest[T any](ask ...func() T) T {
	answers := make(chan T)
	for _, one := range ask {
		go func() { answers <- one() }() // ROOT transcode_fastest CREATED transcode_fastest
	}
	return <-answers
}

// case transcode_fastest: chan_send_no_receiver, service, path=/preview, n=7,13
func MountFastest(a *node.App) {
	a.Mux.HandleFunc("/preview", func(w http.ResponseWriter, r *http.Request) {
		ask := func() string { return r.URL.Path }
		fmt.Fprintln(w, fastest(ask, ask, ask))
	})
}

// gate limits how many films are cut at once; each has a weight.
type gate chan struct{}

func (g gate) enter(weight int) {
	for range weight {
		g <- struct{}{} // ROOT transcode_gate
	}
}

func (g gate) leave() { <-g }

// case transcode_gate: semaphore_not_released, service, path=/cut
func MountGate(a *node.App) {
	g := make(gate, 8)
	a.Mux.HandleFunc("/cut", func(w http.ResponseWriter, r *http.Request) {
		go func() { // CREATED transcode_gate
			g.enter(3)
			defer g.leave()
			time.Sleep(5 * time.Millisecond)
		}()
		w.WriteHeader(http.StatusAccepted)
	})
}
