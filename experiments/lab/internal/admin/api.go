package admin

import (
	"net/http"
	"slices"
	"strings"

	"lab/internal/sideport"
)

// api serves points by collection and name.
type api map[string]map[string]Point

// API serves GET /settings, /breakers and /flags, and GET and PUT of each one by
// its name, to callers that have the bearer token. An If-Match that does not
// fit the ETag of the last answer is refused with 412.
func API(token string, points []Point) http.Handler {
	a := api{"settings": {}, "breakers": {}, "flags": {}}
	for _, p := range points {
		collection, name := p.place()
		a[collection][name] = p
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{collection}", a.serveList)
	mux.HandleFunc("GET /{collection}/{name}", a.serveOne)
	mux.HandleFunc("PUT /{collection}/{name}", a.servePut)
	return sideport.RequireToken(token, mux)
}

func (a api) serveList(w http.ResponseWriter, r *http.Request) {
	points, ok := a[r.PathValue("collection")]
	if !ok {
		a.refuseUnknown(w, r)
		return
	}
	views := map[string]any{}
	for name, p := range points {
		p.locker().Lock()
		views[name], _ = p.show()
		p.locker().Unlock()
	}
	sideport.Answer(w, http.StatusOK, views)
}

func (a api) serveOne(w http.ResponseWriter, r *http.Request) {
	p, ok := a.point(r)
	if !ok {
		a.refuseUnknown(w, r)
		return
	}
	serve(w, p, "", func() {})
}

func (a api) servePut(w http.ResponseWriter, r *http.Request) {
	p, ok := a.point(r)
	if !ok {
		a.refuseUnknown(w, r)
		return
	}
	var set func()
	body, err := sideport.Body(w, r)
	if err == nil {
		set, err = p.parse(body)
	}
	if err != nil {
		sideport.Refuse(w, http.StatusBadRequest, "%s.", sideport.Sentence(err))
		return
	}
	serve(w, p, strings.Join(r.Header.Values("If-Match"), ","), set)
}

// serve calls set if the version fits, and answers with what is there then. It
// is one step: nobody else's change comes between.
func serve(w http.ResponseWriter, p Point, ifMatch string, set func()) {
	p.locker().Lock()
	_, version := p.show()
	stale := !fits(ifMatch, version)
	if !stale {
		set()
	}
	view, version := p.show()
	p.locker().Unlock()

	w.Header().Set("ETag", tag(version))
	if stale {
		_, name := p.place()
		sideport.Refuse(w, http.StatusPreconditionFailed, "%s was changed meanwhile; read it again.", name)
		return
	}
	sideport.Answer(w, http.StatusOK, view)
}

func (a api) point(r *http.Request) (Point, bool) {
	p, ok := a[r.PathValue("collection")][r.PathValue("name")]
	return p, ok
}

func (a api) refuseUnknown(w http.ResponseWriter, r *http.Request) {
	var known []string
	for collection, points := range a {
		for name := range points {
			known = append(known, "/"+collection+"/"+name)
		}
	}
	slices.Sort(known)
	sideport.Refuse(w, http.StatusNotFound, "There is no %s; known are: %s.", r.URL.Path, strings.Join(known, ", "))
}
