package logvolume

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// keepFor is how old a rotated file gets. The lab's 40 requests a second write
// 6 KiB a second (measured), so that about 5 MiB are there at a time.
const keepFor = 10 * time.Minute

// rotate moves path to path.1, path.1 to path.2 and so on, compressed ones
// (path.1.gz) likewise, and begins a new file.
//
// Names change here, so it takes flock(2) on the folder. Who compresses or
// removes files does the same; rotation is put off until they are done.
func (v *Volume) rotate() error {
	folder, err := os.Open(filepath.Dir(v.path))
	if err != nil {
		return err
	}
	defer folder.Close()
	if syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return nil // the file grows on meanwhile
	}
	if err := v.shift(); err != nil {
		return err
	}
	old := v.file
	if err := v.open(); err != nil {
		return err
	}
	return old.Close()
}

func (v *Volume) shift() error {
	numbers, err := v.rotated()
	if err != nil {
		return err
	}
	for n := len(numbers) - 1; n >= 0; n-- {
		for _, ending := range numbers[n] {
			if err := v.moveOn(n, ending); err != nil {
				return err
			}
		}
	}
	return unlessGone(os.Rename(v.path, v.path+".1"))
}

// moveOn gives the n-th file the next number, or removes it if it is too old.
func (v *Volume) moveOn(n int, ending string) error {
	from := v.path + "." + strconv.Itoa(n) + ending
	info, err := os.Stat(from)
	switch {
	case err == nil && time.Since(info.ModTime()) > keepFor:
		err = os.Remove(from)
	case err == nil:
		err = os.Rename(from, v.path+"."+strconv.Itoa(n+1)+ending)
	}
	return unlessGone(err)
}

// unlessGone forgives that somebody else has removed the file.
func unlessGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// maxNumber bounds what a file name can make us do.
const maxNumber = 10_000

// rotated returns the endings ("" or ".gz") of the rotated files by number.
func (v *Volume) rotated() ([][]string, error) {
	entries, err := os.ReadDir(filepath.Dir(v.path))
	if err != nil {
		return nil, err
	}
	var numbers [][]string
	for _, entry := range entries {
		rest, ours := strings.CutPrefix(entry.Name(), filepath.Base(v.path)+".")
		digits, compressed := strings.CutSuffix(rest, ".gz")
		n, err := strconv.Atoi(digits)
		if !ours || err != nil || n < 1 || n > maxNumber || strconv.Itoa(n) != digits {
			continue
		}
		for len(numbers) <= n {
			numbers = append(numbers, nil)
		}
		numbers[n] = append(numbers[n], map[bool]string{true: ".gz"}[compressed])
	}
	return numbers, nil
}
