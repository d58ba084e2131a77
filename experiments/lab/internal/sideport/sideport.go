// Package sideport is what the APIs beside the business port have in common:
// a bearer token, one strict JSON object as body, failures in one sentence.
package sideport

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// MaxBody is how long a body may be, in bytes.
const MaxBody = 4 << 10

// RequireToken lets only callers with the bearer token through. An empty token
// lets nobody through.
func RequireToken(token string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte("Bearer " + token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if token == "" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			Refuse(w, http.StatusUnauthorized, "A valid bearer token is needed.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Body reads the body of r, which may be MaxBody long.
func Body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return nil, fmt.Errorf("the body must be one JSON object of at most %d bytes", MaxBody)
	}
	return body, nil
}

// Decode reads one JSON object without unknown fields into in. The error is a
// sentence that names the form.
func Decode(body []byte, in any, form string) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(in); err != nil {
		return fmt.Errorf("the body must be %s: %v", form, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("the body must be one JSON object of at most %d bytes", MaxBody)
	}
	return nil
}

// Sentence is the text of err with a capital.
func Sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

// Refuse answers code with {"error": sentence}.
func Refuse(w http.ResponseWriter, code int, format string, args ...any) {
	Answer(w, code, map[string]string{"error": fmt.Sprintf(format, args...)})
}

// Answer answers code with body as JSON.
func Answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(body)
}
