package transcode

import (
	"bufio"
	"fmt"
	"net/http"
	"os/exec"

	"media/internal/node"
)

// converter is a program that runs beside the service.
type converter struct {
	cmd *exec.Cmd
}

func startConverter(name string, args ...string) (*converter, error) {
	c := &converter{cmd: exec.Command(name, args...)}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go c.reap() // CREATED transcode_convert
	return c, nil
}

func (c *converter) reap() {
	if err := c.cmd.Wait(); err != nil { // ROOT transcode_convert
		fmt.Println(c.cmd.Path, err)
	}
}

// case transcode_convert: child_process_wait, service, path=/convert, n=6,12
func MountConvert(a *node.App) {
	a.Mux.HandleFunc("/convert", func(w http.ResponseWriter, r *http.Request) {
		if _, err := startConverter("sleep", "900"); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
}

// case transcode_thumbnail: child_process_wait, service, path=/thumbnail, n=7,11
func MountThumbnail(a *node.App) {
	a.Mux.HandleFunc("/thumbnail", func(w http.ResponseWriter, r *http.Request) {
		picture, err := thumbnail(r.FormValue("of"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(picture)
	})
}

func thumbnail(of string) ([]byte, error) {
	return exec.Command("sh", "-c", "echo "+of+"; exec sleep 800").CombinedOutput() // ROOT transcode_thumbnail
}

// case transcode_probe: child_process_wait, service, path=/inspect, n=5,14
func MountProbe(a *node.App) {
	a.Mux.HandleFunc("/inspect", func(w http.ResponseWriter, r *http.Request) {
		lines := make(chan string, 1)
		go inspect(lines) // CREATED transcode_probe
		select {
		case line := <-lines:
			fmt.Fprintln(w, line)
		case <-r.Context().Done():
		}
	})
}

func inspect(lines chan<- string) {
	probe := exec.Command("sh", "-c", "echo 1920x1080; exec >&-; exec sleep 700")
	out, err := probe.StdoutPipe()
	if err != nil || probe.Start() != nil {
		return
	}
	for found := bufio.NewScanner(out); found.Scan(); {
		lines <- found.Text()
	}
	_ = probe.Wait() // ROOT transcode_probe
}
