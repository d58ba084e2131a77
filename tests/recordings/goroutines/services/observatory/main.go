// observatory: trials of what turns, looks, keeps and plans in a night.
package main

import (
	"observatory.example/night/archive"
	"observatory.example/night/dome"
	"observatory.example/night/internal/site"
	"observatory.example/night/optics"
	"observatory.example/night/survey"
)

// trial is one part of the night and what it was found to be.
type trial struct {
	play func()
	over chan any
}

func (t *trial) start(*site.App) {
	go t.run()
}

func (t *trial) run() {
	defer func() { t.over <- recover() }()
	t.play()
}

func main() {
	parts := map[string]func(*site.App){}
	for name, play := range map[string]func(){
		"dome_rotate":      dome.TryRotate,
		"dome_log":         dome.TryLog,
		"dome_shutter":     dome.TryShutter,
		"dome_park":        dome.TryPark,
		"dome_wind":        dome.TryWind,
		"optics_focus":     optics.TryFocus,
		"optics_filters":   optics.TryFilters,
		"optics_exposure":  optics.TryExposure,
		"optics_readout":   optics.TryReadout,
		"optics_faults":    optics.TryFaults,
		"optics_darks":     optics.TryDarks,
		"survey_target":    survey.TryTarget,
		"survey_fields":    survey.TryFields,
		"survey_handover":  survey.TryHandover,
		"survey_weather":   survey.TryWeather,
		"survey_slot":      survey.TrySlot,
		"archive_flush":    archive.TryFlush,
		"archive_index":    archive.TryIndex,
		"archive_hooks":    archive.TryHooks,
		"archive_watchers": archive.TryWatchers,
		"archive_upload":   archive.TryUpload,
		"archive_reopen":   archive.TryReopen,
		"archive_tapes":    archive.TryTapes,
	} {
		parts[name] = (&trial{play, make(chan any, 1)}).start
	}
	site.Main(parts)
}
