package service

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

type auditLine struct {
	Time      string `json:"time"`
	RequestID string `json:"request_id"`
	Method    string `json:"method"`
	Path      string `json:"path"`
	From      string `json:"from"`
	Release   string `json:"release"`
}

// audited writes a line to log before the request is handled. What cannot be
// written down is not done: it answers 500.
func audited(log io.Writer, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		line, _ := json.Marshal(auditLine{
			time.Now().UTC().Format(time.RFC3339Nano), requestID(r.Context()), r.Method, r.URL.Path, r.RemoteAddr, Release,
		})
		if _, err := log.Write(append(line, '\n')); err != nil {
			writeError(w, Fail(http.StatusInternalServerError, "The request could not be logged: %v.", err))
			return
		}
		next.ServeHTTP(w, r)
	})
}
