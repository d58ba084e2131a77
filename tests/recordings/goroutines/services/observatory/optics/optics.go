// Package optics focuses, exposes and reads what was seen.
package optics

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// Focuser is printed with its temperature.
type Focuser struct {
	mu      sync.RWMutex
	microns int
	warm    map[string]float64
}

func (f *Focuser) String() string {
	f.mu.RLock() // ROOT optics_focus
	defer f.mu.RUnlock()
	return fmt.Sprint(f.microns, f.warm)
}

func (f *Focuser) dump(to io.Writer) {
	f.mu.RLock() // VICTIM optics_focus
	defer f.mu.RUnlock()
	for range f.warm {
		time.Sleep(14 * time.Millisecond)
		fmt.Fprintln(to, f)
	}
}

func (f *Focuser) shift(microns int) {
	f.mu.Lock() // ROOT optics_focus
	defer f.mu.Unlock()
	f.microns += microns
}

var focuser = Focuser{warm: map[string]float64{"tube": 4.5}}

// case optics_focus: rwmutex_recursive_rlock, kernel2
func TryFocus() {
	f := &focuser
	go f.dump(io.Discard)
	time.Sleep(5 * time.Millisecond)
	go f.shift(-12)
	time.Sleep(25 * time.Millisecond)
	go f.dump(io.Discard)
}

type wheel[K comparable] struct {
	*sync.RWMutex
	slots map[K]int
	turns int
}

func (w wheel[K]) slot(name K) (int, bool) {
	w.RLock() // ROOT optics_filters
	defer w.RUnlock()
	slot, known := w.slots[name]
	return slot, known
}

func (w *wheel[K]) distance(from, to K) (int, error) {
	w.RLock()
	defer w.RUnlock()
	a, known := w.slots[from]
	time.Sleep(12 * time.Millisecond)
	if b, also := w.slot(to); known && also {
		return b - a, nil
	}
	return 0, errors.New("no such filter")
}

func (w *wheel[K]) put(name K) {
	w.Lock() // ROOT optics_filters
	w.slots[name] = len(w.slots)
	w.Unlock()
}

// case optics_filters: rwmutex_recursive_rlock, kernel2
func TryFilters() {
	w := &wheel[rune]{RWMutex: new(sync.RWMutex), slots: map[rune]int{'U': 0, 'V': 1}}
	told := make(chan int)
	go func() {
		steps, _ := w.distance('U', 'V')
		told <- steps
	}()
	time.AfterFunc(4*time.Millisecond, func() { w.put('R') })
	fmt.Println(<-told) // VICTIM optics_filters
}

// expose takes whichever camera is first.
func expose(cameras ...time.Duration) string {
	frames := make(chan string)
	for i, delay := range cameras {
		go func() {
			time.Sleep(delay)
			frames <- fmt.Sprint("frame of ", i) // ROOT optics_exposure
		}()
	}
	return <-frames
}

// case optics_exposure: chan_send_no_receiver, kernel2, workers=60
func TryExposure() {
	fmt.Println(expose(2*time.Millisecond, 9*time.Millisecond, 11*time.Millisecond))
}

// readout tells rows to who looks on, and waits for its end when it is closed.
type readout struct {
	rows chan []byte
	done chan struct{}
}

func (r *readout) emit(row []byte) {
	r.rows <- row // ROOT optics_readout
}

func (r *readout) run(height int) {
	defer close(r.done)
	r.emit([]byte("head"))
	for i := range height {
		r.emit(make([]byte, i))
	}
	r.emit([]byte("tail"))
}

func (r *readout) Close() error {
	<-r.done // VICTIM optics_readout
	return nil
}

func preview(r *readout) (size int) {
	defer r.Close()
	for row := range r.rows {
		if size += len(row); size > 6 {
			break
		}
	}
	return size
}

// case optics_readout: chan_send_no_receiver, kernel2
func TryReadout() {
	r := &readout{make(chan []byte), make(chan struct{})}
	go r.run(12)
	fmt.Println(preview(r))
}

// cooler has room for one fault.
type cooler struct {
	faults  chan error
	degrees float64
}

func (c *cooler) step(by float64) error {
	if c.degrees += by; c.degrees > -60 {
		c.faults <- fmt.Errorf("%v degrees", c.degrees)
		return errors.New("too warm")
	}
	return nil
}

func (c *cooler) hold(steps []float64, left *sync.WaitGroup) {
	defer left.Done()
	for _, by := range steps {
		if err := c.step(by); err != nil {
			c.faults <- err // ROOT optics_faults
			return
		}
	}
}

// case optics_faults: chan_send_no_receiver, kernel2
func TryFaults() {
	c := &cooler{make(chan error, 1), -70}
	left := new(sync.WaitGroup)
	left.Add(1)
	go c.hold([]float64{4, 5, 6}, left)
	left.Wait() // VICTIM optics_faults
	fmt.Println(<-c.faults)
}

type darks struct {
	mean chan float64
	sum  float64
}

// add sums one mean less than there are.
func (d *darks) add(frames [][]float64) float64 {
	for range frames[1:] {
		d.sum += <-d.mean
	}
	return d.sum
}

// case optics_darks: chan_send_no_receiver, kernel2
func TryDarks() {
	d := darks{mean: make(chan float64)}
	frames := [][]float64{{1, 2}, {3, 4}, {5, 6}}
	for _, frame := range frames {
		go func(to chan<- float64) {
			to <- (frame[0] + frame[1]) / 2 // ROOT optics_darks
		}(d.mean)
	}
	fmt.Println(d.add(frames))
}
