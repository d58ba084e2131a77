package service

import (
	"encoding/json"
	"net/http"
	"time"
)

// withTimeout answers 503 with reason after limit. The context of the request
// ends then too; a handler that does not heed it stays behind on its own.
func withTimeout(limit time.Duration, reason string, next http.Handler) http.Handler {
	body, _ := json.Marshal(map[string]string{"error": reason + "."})
	limited := http.TimeoutHandler(next, limit, string(body)+"\n")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json") // of the 503; next may set its own
		limited.ServeHTTP(w, r)
	})
}
