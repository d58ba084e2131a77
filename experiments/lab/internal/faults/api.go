package faults

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

const maxBody = 4 << 10 // bytes

// API serves GET /faults and PUT and DELETE /faults/{name} to callers that
// have the bearer token.
func (s *Set) API(token string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /faults", s.serveList)
	mux.HandleFunc("PUT /faults/{name}", s.servePut)
	mux.HandleFunc("DELETE /faults/{name}", s.serveDelete)
	return requireToken(token, mux)
}

func requireToken(token string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte("Bearer " + token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if token == "" || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, "A valid bearer token is needed.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Set) serveList(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string][]Status{"faults": s.list()})
}

func (s *Set) servePut(w http.ResponseWriter, r *http.Request) {
	k, ok := s.kind(r.PathValue("name"))
	if !ok {
		s.refuseUnknown(w, r)
		return
	}
	value, ttl, err := readPut(k, http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s; known faults: %s.", sentence(err), s.names())
		return
	}
	slog.Warn("fault set", "fault", k.name, "value", value, "ttl_s", ttl.Seconds())
	answer(w, http.StatusOK, s.put(k, value, ttl))
}

func (s *Set) serveDelete(w http.ResponseWriter, r *http.Request) {
	k, ok := s.kind(r.PathValue("name"))
	if !ok {
		s.refuseUnknown(w, r)
		return
	}
	slog.Warn("fault cleared", "fault", k.name)
	answer(w, http.StatusOK, s.clear(k))
}

// readPut reads {"value": number, "ttl_s": number}.
func readPut(k kind, body io.Reader) (value float64, ttl time.Duration, err error) {
	in := struct {
		Value *float64 `json:"value"`
		TTL   float64  `json:"ttl_s"` // seconds
	}{TTL: defaultTTL.Seconds()}
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return 0, 0, fmt.Errorf(`the body must be {"value": number, "ttl_s": number}: %v`, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return 0, 0, fmt.Errorf("the body must be one JSON object of at most %d bytes", maxBody)
	}
	if in.TTL <= 0 || in.TTL > maxTTL.Seconds() {
		return 0, 0, fmt.Errorf("ttl_s must be above 0 and at most %g", maxTTL.Seconds())
	}
	value, err = k.check(in.Value)
	return value, time.Duration(in.TTL * float64(time.Second)), err
}

func (s *Set) refuseUnknown(w http.ResponseWriter, r *http.Request) {
	refuse(w, http.StatusNotFound, "There is no fault %q; known faults: %s.", r.PathValue("name"), s.names())
}

func (s *Set) names() string {
	names := make([]string, len(s.kinds))
	for i, k := range s.kinds {
		names[i] = k.name
	}
	return strings.Join(names, ", ")
}

func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

func refuse(w http.ResponseWriter, code int, format string, args ...any) {
	answer(w, code, map[string]string{"error": fmt.Sprintf(format, args...)})
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(body)
}
