package metrics

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var processStart = time.Now()

// Process shows this process as the kernel sees it (Linux: needs /proc).
var Process = CollectorFunc(func(w *Writer) {
	w.Single("process_start_time_seconds", "gauge", "Unix time of the process start, in seconds.",
		float64(processStart.UnixMicro())/1e6)
	w.Single("process_cpu_seconds_total", "counter", "User and system CPU time spent, in seconds.", cpuSeconds())
	if rss, ok := residentBytes(); ok {
		w.Single("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", rss)
	}
	if fds, ok := openFiles(); ok {
		w.Single("process_open_fds", "gauge", "Number of open file descriptors.", fds)
	}
})

func cpuSeconds() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// residentBytes reads the second field of /proc/self/statm, which is in pages.
func residentBytes() (float64, bool) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	return float64(pages) * float64(os.Getpagesize()), err == nil
}

func openFiles() (float64, bool) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, false
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	return float64(len(names) - 1), err == nil // minus the one of dir itself
}
