package logvolume

import (
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"lab/internal/metrics"
)

const mib = 1 << 20

func open(t *testing.T, size int64) *Volume {
	t.Helper()
	v, err := Open(new(metrics.Registry), filepath.Join(t.TempDir(), "log", "requests.log"), size)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// fill writes blocks of half a MiB that say which one they are until one fails.
func fill(v *Volume, most int) (written int, err error) {
	for written < most {
		if _, err := v.Write(block(written)); err != nil {
			return written, err
		}
		written++
	}
	return written, nil
}

func block(n int) []byte { return bytes.Repeat([]byte{byte('a' + n)}, mib/2) }

// names returns the files by their first byte.
func names(t *testing.T, v *Volume) map[string]string {
	t.Helper()
	found := map[string]string{}
	paths, _ := filepath.Glob(v.path + "*")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found[filepath.Base(path)] = string(text[:1])
	}
	return found
}

func TestNewestRotatedFileIsNumberOne(t *testing.T) {
	v := open(t, 32*mib)
	if _, err := fill(v, 7); err != nil {
		t.Fatal(err)
	}
	got := names(t, v)
	want := map[string]string{"requests.log": "g", "requests.log.1": "e", "requests.log.2": "c", "requests.log.3": "a"}
	for name, first := range want {
		if got[name] != first {
			t.Errorf("%s: got %q, want %q", name, got[name], first)
		}
	}
}

func TestFullVolumeFailsAsAFullDiskAndStaysFullAfterARestart(t *testing.T) {
	v := open(t, 4*mib)
	n, err := fill(v, 100)
	if n != 8 || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "no space left on device") {
		t.Fatalf("got %v after %d blocks", err, n)
	}
	again, err := Open(new(metrics.Registry), v.path, v.size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.Write([]byte("x\n")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("after a restart: got %v", err)
	}
}

func TestCompressedFilesMakeRoomAndKeepTheirTurn(t *testing.T) {
	v := open(t, 4*mib)
	fill(v, 100)
	compress(t, v.path+".2")
	compress(t, v.path+".3")
	time.Sleep(2 * measured)
	if n, err := fill(v, 2); err != nil {
		t.Fatalf("got %v after %d blocks", err, n)
	}
	files, _ := filepath.Glob(v.path + "*")
	if !slices.Contains(files, v.path+".3.gz") || slices.Contains(files, v.path+".2.gz") {
		t.Errorf("got %v", files)
	}
}

func compress(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(text)
	w.Close()
	if err := errors.Join(os.WriteFile(path+".gz", packed.Bytes(), 0o644), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
}

func TestRotationWaitsForWhoeverHasTheFolder(t *testing.T) {
	v := open(t, 32*mib)
	folder, err := os.Open(filepath.Dir(v.path))
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if n, err := fill(v, 4); n != 4 || err != nil || len(names(t, v)) != 1 {
		t.Errorf("got %v after %d blocks, and %v", err, n, names(t, v))
	}
	syscall.Flock(int(folder.Fd()), syscall.LOCK_UN)
	if _, err := fill(v, 1); err != nil || len(names(t, v)) != 2 {
		t.Errorf("got %v, and %v", err, names(t, v))
	}
}

func TestLogGoesOnAfterSomebodyHasRemovedItsFiles(t *testing.T) {
	v := open(t, 4*mib)
	fill(v, 100)
	for name := range names(t, v) {
		os.Remove(filepath.Join(filepath.Dir(v.path), name))
	}
	time.Sleep(2 * measured)
	if n, err := fill(v, 4); err != nil {
		t.Errorf("got %v after %d blocks", err, n)
	}
	if got := names(t, v); got["requests.log"] == "" {
		t.Errorf("got %v", got)
	}
}

func TestOldFilesGoAndForeignOnesStay(t *testing.T) {
	v := open(t, 32*mib)
	long := time.Now().Add(-2 * keepFor)
	for _, ending := range []string{".7", ".8.gz", ".7.gz.tmp", ".07", ".notes"} {
		if err := os.WriteFile(v.path+ending, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(v.path+ending, long, long)
	}
	fill(v, 3)
	got := names(t, v)
	if len(got) != 5 || got["requests.log.7.gz.tmp"] != "x" || got["requests.log.07"] != "x" || got["requests.log.notes"] != "x" {
		t.Errorf("got %v", got)
	}
}

func TestChatterWritesAsMuchAsItSaysAndEnds(t *testing.T) {
	v := open(t, 32*mib)
	end := v.Chatter().Start(2000)
	time.Sleep(time.Second)
	end()
	time.Sleep(2 * measured)
	used := usedNow(v)
	if used < 500<<10 || used > 2500<<10 {
		t.Errorf("%d bytes in a second", used)
	}
	time.Sleep(2 * chatterEvery)
	if usedNow(v) != used {
		t.Error("it goes on")
	}
}

func usedNow(v *Volume) int64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.used
}

func TestVolumeIsSeen(t *testing.T) {
	var registry metrics.Registry
	v, err := Open(&registry, filepath.Join(t.TempDir(), "x.log"), 100)
	if err != nil {
		t.Fatal(err)
	}
	v.Write(make([]byte, 60))
	v.Write(make([]byte, 60))
	text := string(registry.Expose())
	for _, line := range []string{"log_volume_used_bytes 60", "log_volume_size_bytes 100", "log_volume_used_ratio 0.6", "log_write_failures_total 1"} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("%s is missing in\n%s", line, text)
		}
	}
}
