package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

const maxBody = 16 << 10 // bytes of a request or an answer

// Error is a failure with the status code that the caller gets.
type Error struct {
	Code     int
	Reason   string
	Upstream int // status code of the service that was asked, 0 if it gave none
}

func (e *Error) Error() string { return e.Reason }

// Fail makes an Error; the reason is one sentence for the caller.
func Fail(code int, format string, args ...any) error {
	return &Error{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// Text makes a handler of a function that needs no body.
func Text(serve func(context.Context) (string, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := serve(r.Context())
		if err != nil {
			writeError(w, err)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, text)
	})
}

// JSON makes a handler of a function from request body to answer.
func JSON[In, Out any](serve func(context.Context, In) (Out, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := decode(w, r, &in); err != nil {
			writeError(w, err)
			return
		}
		out, err := serve(r.Context(), in)
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, out)
	})
}

func decode(w http.ResponseWriter, r *http.Request, in any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(in); err != nil {
		return Fail(http.StatusBadRequest, "The body is not the expected JSON: %v.", err)
	}
	return nil
}

func writeError(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	var known *Error
	switch {
	case errors.As(err, &known):
		code = known.Code
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		code = http.StatusServiceUnavailable // as withTimeout answers
	}
	writeJSON(w, code, map[string]string{"error": err.Error()})
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(body)
}
