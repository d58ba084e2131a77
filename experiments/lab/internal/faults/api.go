package faults

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"lab/internal/sideport"
)

// API serves GET /faults and PUT and DELETE /faults/{name} to callers that
// have the bearer token.
func (s *Set) API(token string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /faults", s.serveList)
	mux.HandleFunc("PUT /faults/{name}", s.servePut)
	mux.HandleFunc("DELETE /faults/{name}", s.serveDelete)
	return sideport.RequireToken(token, mux)
}

func (s *Set) serveList(w http.ResponseWriter, _ *http.Request) {
	sideport.Answer(w, http.StatusOK, map[string][]Status{"faults": s.list()})
}

func (s *Set) servePut(w http.ResponseWriter, r *http.Request) {
	k, ok := s.kind(r.PathValue("name"))
	if !ok {
		s.refuseUnknown(w, r)
		return
	}
	value, ttl, err := readPut(k, w, r)
	if err != nil {
		sideport.Refuse(w, http.StatusBadRequest, "%s; known faults: %s.", sideport.Sentence(err), s.names())
		return
	}
	slog.Debug("fault set", "fault", k.Name, "value", value, "ttl_s", ttl.Seconds())
	sideport.Answer(w, http.StatusOK, s.put(k, value, ttl))
}

func (s *Set) serveDelete(w http.ResponseWriter, r *http.Request) {
	k, ok := s.kind(r.PathValue("name"))
	if !ok {
		s.refuseUnknown(w, r)
		return
	}
	slog.Debug("fault cleared", "fault", k.Name)
	sideport.Answer(w, http.StatusOK, s.clear(k))
}

// readPut reads {"value": number, "ttl_s": number}.
func readPut(k Kind, w http.ResponseWriter, r *http.Request) (value float64, ttl time.Duration, err error) {
	in := struct {
		Value *float64 `json:"value"`
		TTL   float64  `json:"ttl_s"` // seconds
	}{TTL: defaultTTL.Seconds()}
	body, err := sideport.Body(w, r)
	if err == nil {
		err = sideport.Decode(body, &in, `{"value": number, "ttl_s": number}`)
	}
	if err != nil {
		return 0, 0, err
	}
	if in.TTL <= 0 || in.TTL > maxTTL.Seconds() {
		return 0, 0, fmt.Errorf("ttl_s must be above 0 and at most %g", maxTTL.Seconds())
	}
	value, err = k.check(in.Value)
	return value, time.Duration(in.TTL * float64(time.Second)), err
}

func (s *Set) refuseUnknown(w http.ResponseWriter, r *http.Request) {
	sideport.Refuse(w, http.StatusNotFound, "There is no fault %q; known faults: %s.", r.PathValue("name"), s.names())
}

func (s *Set) names() string {
	names := make([]string, len(s.kinds))
	for i, k := range s.kinds {
		names[i] = k.Name
	}
	return strings.Join(names, ", ")
}
