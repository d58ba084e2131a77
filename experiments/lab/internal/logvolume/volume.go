// Package logvolume is a log file in a folder with a budget. The lab may not
// mount file systems, so the folder plays one: what would not fit in the budget
// fails as on a full disk, and files that others compress or remove make room.
package logvolume

import (
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"lab/internal/metrics"
)

const (
	rotateAt = 1 << 20 // bytes of the file that is written to
	// measured is how long the size of the folder is taken as known.
	measured = 100 * time.Millisecond
)

// Volume is the folder of a log file. It is safe for concurrent use.
type Volume struct {
	path string
	size int64 // budget in bytes

	mu         sync.Mutex
	file       *os.File
	written    int64 // bytes in file
	used       int64 // bytes in the folder
	measuredAt time.Time
	failures   *metrics.Counter
}

// Open opens the log file at path, and makes its folder if need be. The files
// in it may have size bytes together.
func Open(r *metrics.Registry, path string, size int64) (*Volume, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	v := &Volume{path: path, size: size}
	if err := v.open(); err != nil {
		return nil, err
	}
	v.failures = metrics.NewCounterVec(r, "log_write_failures_total", "Log lines that could not be written.").With()
	r.Register(v)
	return v, nil
}

func (v *Volume) open() error {
	file, err := os.OpenFile(v.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	v.file, v.written = file, info.Size()
	return nil
}

// Write appends lines, all of them or none. Without room it fails with ENOSPC.
func (v *Volume) Write(lines []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, err := v.write(lines)
	if err != nil {
		v.failures.Inc()
	}
	return n, err
}

func (v *Volume) write(lines []byte) (int, error) {
	v.measure()
	if v.used+int64(len(lines)) > v.size {
		return 0, &os.PathError{Op: "write", Path: v.path, Err: syscall.ENOSPC}
	}
	if v.written >= rotateAt {
		if err := v.rotate(); err != nil {
			return 0, err
		}
	}
	n, err := v.file.Write(lines)
	v.written += int64(n)
	v.used += int64(n)
	return n, err
}

// measure adds up the sizes of all files in the folder, whoever wrote them,
// unless that was done just now.
func (v *Volume) measure() {
	if time.Since(v.measuredAt) < measured {
		return
	}
	entries, err := os.ReadDir(filepath.Dir(v.path))
	if err != nil {
		return // the folder is gone: the next write says so
	}
	v.used, v.measuredAt = 0, time.Now()
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			v.used += info.Size()
		}
	}
}

// Collect implements metrics.Collector.
func (v *Volume) Collect(w *metrics.Writer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.measure()
	w.Single("log_volume_used_bytes", "gauge", "Size of all files in the folder of the log.", float64(v.used))
	w.Single("log_volume_size_bytes", "gauge", "What the files in the folder of the log may have together.", float64(v.size))
	w.Single("log_volume_used_ratio", "gauge", "Share of the two, from 0 to 1.", float64(v.used)/float64(v.size))
}
