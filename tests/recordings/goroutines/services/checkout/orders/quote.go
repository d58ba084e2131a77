// Package orders takes orders and answers questions about them.
package orders

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"example.com/checkout/internal/app"
)

type quote struct {
	cents   int
	carrier string
}

// case orders_quote: chan_send_no_receiver, service, path=/quote
func MountQuote(a *app.App) {
	a.Mux.HandleFunc("/quote", func(w http.ResponseWriter, r *http.Request) {
		answer := make(chan quote)
		go func() { // CREATED orders_quote
			q := askCarrier(r.URL.Query().Get("zip"))
			answer <- q // ROOT orders_quote
		}()
		select {
		case q := <-answer:
			fmt.Fprintln(w, q.cents, q.carrier)
		case <-time.After(20 * time.Millisecond):
			http.Error(w, "no quote in time", http.StatusGatewayTimeout)
		}
	})
}

func askCarrier(zip string) quote {
	time.Sleep(60 * time.Millisecond)
	return quote{cents: 490 + len(zip), carrier: "parcel"}
}

// importer checks the lines of an upload side by side; the first bad line ends it.
type importer struct {
	errs chan error
}

func (i *importer) report(line int, err error) {
	if err != nil {
		err = fmt.Errorf("line %d: %w", line, err)
	}
	i.errs <- err // ROOT orders_bulk_import
}

func (i *importer) check(line int, sku string) {
	if _, err := strconv.Atoi(sku); err != nil {
		i.report(line, err)
		return
	}
	i.report(line, nil)
}

func (i *importer) run(skus []string) error {
	for line, sku := range skus {
		go i.check(line, sku) // CREATED orders_bulk_import
	}
	for range skus {
		if err := <-i.errs; err != nil {
			return err
		}
	}
	return nil
}

// case orders_bulk_import: chan_send_no_receiver, service, path=/import, n=8,12
func MountImport(a *app.App) {
	a.Mux.HandleFunc("/import", func(w http.ResponseWriter, r *http.Request) {
		job := &importer{errs: make(chan error)}
		if err := job.run([]string{"a1", "b2", "c3", "d4"}); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
}

// case orders_export_csv: io_pipe_no_reader, service, path=/export
func MountExport(a *app.App) {
	a.Mux.HandleFunc("/export", func(w http.ResponseWriter, r *http.Request) {
		body := rows(200)
		head := make([]byte, 64)
		if n, err := body.Read(head); err != nil || n < len(head) {
			http.Error(w, "the export is too short", http.StatusInternalServerError)
			return
		}
		_, _ = io.Copy(w, body)
	})
}

func rows(count int) io.Reader {
	reader, writer := io.Pipe()
	go func() { // CREATED orders_export_csv
		defer writer.Close()
		_ = writeRows(writer, count)
	}()
	return reader
}

func writeRows(to io.Writer, count int) error {
	out := csv.NewWriter(to)
	for i := range count {
		if err := out.Write([]string{strconv.Itoa(i), "open"}); err != nil {
			return err
		}
		if out.Flush(); out.Error() != nil { // ROOT orders_export_csv
			return errors.New("the reader went away")
		}
	}
	return nil
}
